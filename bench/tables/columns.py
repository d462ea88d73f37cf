"""What a column of accuracies is called, and the checks that every table of truth passes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bench.contracts import registry
from bench.contracts.registry import did_you_mean
from bench.contracts.space import Space
from bench.contracts.truth import NB201, TruthError

Split = Literal["train", "valid", "test"]
SPLITS: tuple[str, ...] = get_args(Split)


class Measurement(NamedTuple):
    """What was measured: ``cifar10_test_200`` as three words."""

    dataset: str
    split: str
    budget: int

    def __str__(self) -> str:
        return f"{self.dataset}_{self.split}_{self.budget}"


def parse_column(column: str) -> Measurement | None:
    """Read ``<dataset>_<split>_<budget>``; None where the name is not of that form."""
    match = re.fullmatch(rf"(.+)_({'|'.join(SPLITS)})_(\d{{1,6}})", column)
    return Measurement(match[1], match[2], int(match[3])) if match else None


def seed_columns(column: str, known: Sequence[str]) -> dict[int, str]:
    """Return seed → name of the columns ``<column>_seed<N>``, by seed."""
    matches = (re.fullmatch(rf"{re.escape(column)}_seed(\d{{1,9}})", name) for name in known)
    return dict(sorted((int(match[1]), match[0]) for match in matches if match))


def missing(source: str, what: str, name: str, known: Sequence[str]) -> TruthError:
    """Say which column, data set or budget is missing and which there are."""
    hint = did_you_mean(name, list(known))
    listed = f"; there are: {', '.join(known)}" if hint.startswith("did you mean") else ""
    return TruthError(f"{source}: no {what} {name!r}; {hint}{listed}")


LOOKED_AT = 20
"""Rows by which a table that does not say whose cells it holds is recognised."""


def recognise(cells: Sequence[str | None]) -> Space:
    """Return the space that these cells are written in: the first that can read one of them.

    NAS-Bench-201 where none can, so that what is wrong is said in its words.
    """
    spaces: list[Space] = [registry.parse("spaces", name) for name in registry.names("spaces")]
    for cell in filter(None, cells[:LOOKED_AT]):
        for space in spaces:
            with contextlib.suppress(ValueError):
                space.spell(cell)
                return space
    found: Space = registry.parse("spaces", NB201)
    return found


def spelled(
    cells: Sequence[str | None], space: Space, source: str, *, rows: Sequence[int]
) -> list[str]:
    """Return every cell as the space writes it; ``rows`` are what errors call them.

    Raises
    ------
    TruthError
        With the row of what is no cell, and what is wrong there.
    """
    known: dict[str | None, str] = {}
    for row, cell in zip(rows, cells, strict=True):
        if cell in known:
            continue
        if not cell:
            raise TruthError(f"{source}: row {row}: the column 'arch' is empty")
        try:
            known[cell] = space.spell(cell)
        except ValueError as error:
            text = str(error)
            text = text if len(text) <= 240 else text[:239] + "…"
            raise TruthError(f"{source}: row {row}: {text}") from None
    return [known[cell] for cell in cells]


def check_unique(keys: Sequence[object], source: str, *, rows: Sequence[int]) -> None:
    """Refuse a key (a cell, or a cell with its seed) that occurs twice.

    Raises
    ------
    TruthError
        With the two rows.
    """
    if len(set(keys)) == len(keys):
        return
    seen: dict[object, int] = {}
    for row, key in zip(rows, keys, strict=True):
        if key in seen:
            shown = key if isinstance(key, str) else " seed ".join(map(str, key))  # type: ignore[call-overload]
            raise TruthError(f"{source}: row {row} repeats {shown} of row {seen[key]}")
        seen[key] = row


def check_percent(
    values: NDArray[np.float64], source: str, column: str, *, rows: Sequence[int]
) -> None:
    """Refuse accuracies outside 0..100; NaN means missing and passes.

    Raises
    ------
    TruthError
        With the first such row; or for fractions: a column whose largest value is at most 1.
    """
    outside = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= 100))))
    if outside.size:
        raise TruthError(
            f"{source}: row {rows[outside[0]]}: {column} is {values[outside[0]]:g}, "
            "not a percentage in 0..100"
        )
    if np.isnan(values).all():
        raise TruthError(f"{source}: column {column} holds no number")
    if values.size > 1 and np.nanmax(values) <= 1 and np.nanmax(values) > 0:
        raise TruthError(
            f"{source}: column {column} seems to hold fractions (largest {np.nanmax(values):g}); "
            "accuracies are in percent: multiply by 100"
        )
