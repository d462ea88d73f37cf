"""Names and texts from files that somebody else may have written: restricted, or made harmless.

A name that reaches a script, a path or a page is a `LABEL`: letters, digits and ``_ . + -``. Other
texts (a question, an error, a metric that a plug-in invented) are data; what a terminal would obey
instead of showing is written as an escape, once, where the file is read.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
"""Of ablations, variants, profiles."""
FOLDER = re.compile(
    rf"(?P<label>{LABEL.pattern})-seed(?P<seed>[0-9]{{1,16}})-(?P<digest>[0-9a-f]{{1,64}})"
)
"""The name of a run's folder."""
TASK = re.compile(r"[0-9]{1,12}(_[0-9]{1,9})?")
"""A job of Slurm's, or a task of an array."""
MAX_SEED = 2**53 - 1
"""The largest whole number that every reader of JSON and of tables keeps exactly."""
LONGEST = 20_000
"""Characters of a text."""
DEEPEST = 32
"""Lists and mappings within each other."""


def shown(text: str) -> str:
    """Return text as it can be printed: line breaks as spaces, other control characters escaped.

    Escape sequences that colour or clear a terminal, marks that turn the direction of writing, and
    halves of characters are all among those.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c in "\n\r\t" else c.encode("unicode_escape").decode()
        for c in text
    )


def tame(value: Any, depth: int = 0) -> Any:
    """Return plain data with every text, keys included, as `shown` gives it.

    Raises
    ------
    ValueError
        For what no file of this program holds: numbers beyond 64 bits, texts beyond `LONGEST`,
        nesting beyond `DEEPEST`.
    """
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise ValueError(f"a text of more than {LONGEST:,} characters")
        return shown(value)
    if isinstance(value, dict):
        return {shown(str(key)): tame(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [tame(inner, depth + 1) for inner in value]
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("a number beyond 64 bits")
    return value


def own_command(text: str) -> str:
    """Return a command line if it is one of this program's alone; empty otherwise.

    Somebody will paste it into a shell: it must be ``python -m bench`` with words quoted as
    `shlex.join` quotes them, so that it can start nothing else.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        return ""
    own = words[:3] == ["python", "-m", "bench"] and shlex.join(words) == text
    return text if own and text.isprintable() else ""
