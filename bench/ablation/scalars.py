"""What a plain word of YAML, or of ``--set``, means: text, unless it is plainly something else.

YAML 1.1 reads ``1:30`` as 90, ``010`` as 8 and ``no`` as false. Here a number is decimal, only
``true`` and ``false`` are truth values, and everything else is text. A number remembers how it was
written, so that a text field gets it as it stands: a label ``0.30``, a folder ``2024``.
"""

from __future__ import annotations

import re

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
MAX_DIGITS = 64
"""Characters of a number: reading one takes the square of its length."""

Scalar = None | bool | int | float | str


class WrittenInteger(int):
    """An integer that is written as it was read."""

    text: str

    def __new__(cls, text: str) -> WrittenInteger:
        """Read a decimal integer."""
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text


class WrittenReal(float):
    """A real number that is written as it was read."""

    text: str

    def __new__(cls, text: str) -> WrittenReal:
        """Read a decimal number."""
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text


def resolve(text: str) -> Scalar:
    """Return what an unquoted word means.

    Raises
    ------
    ValueError
        For a number that is too long, beyond 64 bits, or that would become zero; says so in one line.
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if not REAL.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    if INTEGER.fullmatch(text):
        number = WrittenInteger(text)
        if abs(number) >= 2**63:
            raise ValueError("a number beyond 64 bits")
        return number
    if not float(text) and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise ValueError(f"{text} is too small to be told from zero")
    # A leading zero means base eight to some and base ten to others: it stays text, which a field
    # of numbers reads as decimal.
    return text if re.match(r"[-+]?0[0-9]", text) else WrittenReal(text)
