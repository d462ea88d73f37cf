"""Names and texts from files that somebody else may have written: restricted, or made harmless.

A name that reaches a script, a path or a page is a `LABEL`: letters, digits and ``_ . + -``. Other
texts (a question, an error, a metric that a plug-in invented) are data; what a terminal would obey
instead of showing is written as an escape, once, where the file is read.
"""

from __future__ import annotations

import re

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
"""Of ablations, variants, profiles."""
TASK = re.compile(r"[0-9]{1,12}(_[0-9]{1,9})?")
"""A job of Slurm's, or a task of an array."""
MAX_SEED = 2**53 - 1
"""The largest whole number that every reader of JSON and of tables keeps exactly."""


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
