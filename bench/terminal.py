"""What commands share to speak to a terminal, a pipe, or somebody who copies a line."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

from bench.written import one_line

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


def width(stream: IO[str] | None = None) -> int:
    """Return the columns of a terminal, or those that ``$COLUMNS`` says; 80 in a pipe."""
    stream = sys.stdout if stream is None else stream
    if stream.isatty() or "COLUMNS" in os.environ:
        return max(shutil.get_terminal_size().columns, 20)
    return 80


def entries(rows: Iterable[tuple[str, str]], stream: IO[str] | None = None) -> None:
    """Print a name and what it means a line; names are never broken, and long texts hang indented.

    In a pipe every entry is one line, name and text separated by a tab, for `cut` and `grep`.
    """
    stream = sys.stdout if stream is None else stream
    rows = list(rows)
    if not stream.isatty() and "COLUMNS" not in os.environ:
        for name, text in rows:
            print(f"{name}\t{one_line(text)}", file=stream)
        return
    columns = width(stream)
    indent = min(max((len(name) for name, _ in rows), default=0) + 2, columns // 2)
    for name, text in rows:
        head = f"{name:<{indent - 1}} "
        alone = len(head) > indent  # too long a name stands on a line of its own
        body = textwrap.fill(
            one_line(text),
            columns,
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        print(f"{name}\n{body}" if alone else head + body[indent:], file=stream)


def command(*words: Any) -> str:
    """Return ``python -m bench …`` with every word quoted as a shell needs it."""
    return shlex.join(["python", "-m", "bench", *map(str, words)])


def forgiving() -> None:
    """Let stdout and stderr show what their encoding lacks as a question mark, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
