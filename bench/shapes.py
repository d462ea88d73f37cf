"""What JSON that others may have written can hold: types, sizes and depths, checked once on reading.

A checksum says that a file is whole, and anybody can compute one. Where a value of another type
would end in the middle of a table, it is refused where the file is read, by a line that names the
file and the field.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench.files import UnfitFileError
from bench.names import LABEL, MAX_SEED, shown

DEPTH = 32
"""Levels of lists and mappings; a result has five."""
WHOLE = 2**63 - 1
"""No whole number is larger: tables keep 64 bits."""
REAL = 1e100
"""No other number is larger: squares, sums and squares of sums stay finite."""


class Shape(BaseModel):
    """Fields that are looked at; whatever else is there is data of plain kinds."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


def number(value: Any) -> Any:
    """Return a number, or raise ValueError where it is none."""
    if type(value) not in (int, float):
        raise ValueError(f"expected a number (got {shown(str(value))[:60]!r})")
    return value


NUMBERS = frozenset((int, float, type(None)))


def grid(value: Any) -> Any:
    """Return a number, or lists of numbers (or None) whose rows have one length; else ValueError."""
    usual = (  # nearly all are of this form
        type(value) is list
        and {list} == set(map(type, value))
        and NUMBERS.issuperset(map(type, itertools.chain(*value)))
        and len(set(map(len, value))) == 1
    )
    if usual:
        return value
    _extent(value)
    return value


def _extent(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        if value is not None:
            number(value)
        return ()
    inside = {_extent(inner) for inner in value}
    if len(inside) > 1:
        raise ValueError("rows of different lengths")
    return (len(value), *next(iter(inside), ()))


def distinct(value: list[Any]) -> list[Any]:
    """Return a list that holds nothing twice; raises ValueError where it does."""
    if len(set(value)) != len(value):
        raise ValueError("something stands there twice")
    return value


Number = Annotated[Any, BeforeValidator(number)]
Grid = Annotated[Any, BeforeValidator(grid)]
Whole = Annotated[int, Field(ge=0, le=WHOLE)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Label = Annotated[str, Field(pattern=rf"^{LABEL.pattern}\z")]
Names = Annotated[list[str], AfterValidator(distinct)]


def plain(value: Any, source: Path | str) -> Any:
    """Return parsed JSON with every text as it can be shown.

    Raises
    ------
    UnfitFileError
        One line naming ``source`` and the field, where a number is no finite number of a usual size
        or lists and mappings are nested too deeply.
    """
    try:
        return _plain(value, 0)
    except _Odd as odd:
        raise UnfitFileError(f"{source}: {dotted(odd.at[:8])}: {odd}") from None


class _Odd(ValueError):
    """Something that is not plain; ``at`` grows on the way out."""

    at: tuple[Any, ...] = ()


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isprintable() else shown(value)
    if kind is float:
        if abs(value) <= REAL:
            return value
        if math.isfinite(value):
            raise _Odd(f"{value:g} is no usual number")
        return None  # as this program writes them
    if kind is int:
        if abs(value) > WHOLE:
            raise _Odd("a whole number of more than 64 bits")
        return value
    if kind is not list and kind is not dict:
        return value
    if depth >= DEPTH:
        raise _Odd("nested too deeply")
    key: Any = None
    try:
        if kind is list:
            made: list[Any] = []
            for inner in value:
                key = len(made)
                made.append(_plain(inner, depth + 1))
            return made
        found = {}
        for key, inner in value.items():
            found[shown(key)] = _plain(inner, depth + 1)
        return found
    except _Odd as odd:
        odd.at = (key, *odd.at)
        raise


def check(kind: type[Shape], value: Any, source: Path | str) -> None:
    """Raise UnfitFileError, naming ``source`` and the field, where a value is not of a shape."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        message = str(details["msg"]).removeprefix("Value error, ")
        if details["type"] == "missing":
            message = "missing"
        given = details["input"]
        if "got" not in message and not isinstance(given, dict | list):
            message += f" (got {shown(str(given))[:60]!r})"
        field = dotted(tuple(details["loc"]))
        raise UnfitFileError(": ".join(filter(None, (str(source), field, message)))) from None


def dotted(path: tuple[Any, ...]) -> str:
    """Write a path through JSON as one word: ``history[2].epoch``."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown(words.removeprefix("."))[:120]


def fitting(fields: Mapping[str, Callable[[Any], bool]], value: Any) -> dict[str, Any]:
    """Return what of a mapping is as it should be; the rest is left out."""
    if not isinstance(value, dict):
        return {}
    return {
        key: inner
        for key, inner in value.items()
        if (fields[key](inner) if key in fields else not isinstance(inner, list | dict))
    }
