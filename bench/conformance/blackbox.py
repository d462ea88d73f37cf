"""What every black-box search promises."""

from __future__ import annotations

import numpy as np

from bench.conformance import Check, expect
from bench.contracts.blackbox import BlackBox

CHOICES = (5,) * 6
WORTH = [[float(v) for v in np.random.default_rng(1 + i).permutation(5)] for i in range(6)]


def _query(cell: tuple[int, ...]) -> float:
    return 50.0 + sum(worth[o] for worth, o in zip(WORTH, cell, strict=True))


def budget(member: BlackBox) -> None:
    """It spends its budget, and no more."""
    for size in (1, 7, 60):
        found = member.search(_query, CHOICES, size, 0)
        expect(
            len(found.evaluated) == size, f"of {size} evaluations it used {len(found.evaluated)}"
        )


def cells(member: BlackBox) -> None:
    """It proposes cells of the space as tuples of int."""
    choices = (2, 5, 1, 3)
    worth = {c: float(sum(c)) for c in np.ndindex(*choices)}
    for cell in member.search(lambda c: 10 + worth[c], choices, 30, 0).evaluated:
        whole = type(cell) is tuple and all(type(o) is int for o in cell)
        expect(whole, f"{cell!r} is no tuple of int")


def seeded(member: BlackBox) -> None:
    """It depends on its seed and on what it asked alone."""
    first = member.search(_query, CHOICES, 60, 3)
    np.random.seed(0)  # noqa: NPY002 - the global stream must not matter
    expect(first == member.search(_query, CHOICES, 60, 3), "two searches of one seed differ")
    other = member.search(_query, CHOICES, 60, 4)
    expect(first.evaluated != other.evaluated, "two seeds give the same search")
    known = dict(zip(first.evaluated, first.accuracies, strict=True))
    again = member.search(known.__getitem__, CHOICES, 60, 3)
    expect(again == first, "it sees more than it asked for")


CHECKS: dict[str, Check] = {
    "spends its budget and no more": budget,
    "proposes cells of the space": cells,
    "depends on its seed and on what it asked alone": seeded,
}
