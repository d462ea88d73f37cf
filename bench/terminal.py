"""What commands share to speak to a terminal, a pipe, or somebody who copies a line."""

from __future__ import annotations

import os
import shlex
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns where nobody looks: three labels of 64 characters stay apart."""


def console(stream: IO[str] | None = None, piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console as wide as the terminal, as ``$COLUMNS`` says, or wide where it is a pipe."""
    from rich.console import Console

    stream = sys.stdout if stream is None else stream
    wide = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, highlight=False, width=piped_width if wide else None)


def command(*words: Any) -> str:
    """Return ``python -m bench …`` with every word quoted as a shell needs it."""
    return shlex.join(["python", "-m", "bench", *map(str, words)])


def forgiving() -> None:
    """Let stdout and stderr show what their encoding lacks as a question mark, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
