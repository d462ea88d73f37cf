"""What a column of accuracies is called, and the checks that every table of truth passes."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bench.registry import did_you_mean
from bench.truth import TruthError

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


@functools.cache
def _known_cells() -> frozenset[str]:
    from bench.spaces.nb201 import cells

    return frozenset(cells.encode(cell) for cell in cells.architectures())


def check_cells(cells: Sequence[str | None], source: str, *, first: int) -> None:
    """Refuse anything that is not a cell's string; ``first`` is the row number of the first.

    Raises
    ------
    TruthError
        With the row and what is wrong there.
    """
    known = _known_cells()
    for row, cell in enumerate(cells, start=first):
        if cell not in known:
            raise TruthError(f"{source}: row {row}: {_complaint(cell)}")


def _complaint(cell: str | None) -> str:
    from bench.spaces.nb201 import cells

    if not cell:
        return "the column 'arch' is empty"
    try:
        cells.decode(cell)
    except ValueError as error:
        text = str(error)
        return text if len(text) <= 240 else text[:239] + "…"
    return f"not a cell: {cell!r:.80}"


def check_unique(keys: Sequence[object], source: str, *, first: int) -> None:
    """Refuse a key (a cell, or a cell with its seed) that occurs twice.

    Raises
    ------
    TruthError
        With the two rows.
    """
    if len(set(keys)) == len(keys):
        return
    seen: dict[object, int] = {}
    for row, key in enumerate(keys, start=first):
        if key in seen:
            shown = key if isinstance(key, str) else " seed ".join(map(str, key))  # type: ignore[call-overload]
            raise TruthError(f"{source}: row {row} repeats {shown} of row {seen[key]}")
        seen[key] = row


def check_percent(values: NDArray[np.float64], source: str, column: str, *, first: int) -> None:
    """Refuse accuracies outside 0..100; NaN means missing and passes.

    Raises
    ------
    TruthError
        With the first such row; or for fractions: a column whose largest value is at most 1.
    """
    outside = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= 100))))
    if outside.size:
        raise TruthError(
            f"{source}: row {outside[0] + first}: {column} is {values[outside[0]]:g}, "
            "not a percentage in 0..100"
        )
    if np.isnan(values).all():
        raise TruthError(f"{source}: column {column} holds no number")
    if values.size > 1 and np.nanmax(values) <= 1 and np.nanmax(values) > 0:
        raise TruthError(
            f"{source}: column {column} seems to hold fractions (largest {np.nanmax(values):g}); "
            "accuracies are in percent: multiply by 100"
        )
