"""How many pairs it takes to decide, by simulation: for `bench plan` and the calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.decision.sequential import (
    ALPHA,
    Question,
    evidence,
    excess,
    needed_above,
)
from bench.statistics import Floats

SCENARIOS = {"every": 1.0, "9 of 10": 0.9, "4 of 5": 0.8, "2 of 3": 2 / 3}
"""Shares of the pairs that differ which point the same way."""


@dataclass(frozen=True)
class Outcome:
    """How simulated campaigns ended.

    Attributes
    ----------
    kinds
        ``higher``, ``lower``, ``equivalent``, ``undecided`` → share of the campaigns.
    pairs
        Pairs that a campaign took on average, undecided ones with all that they had.
    """

    kinds: dict[str, float]
    pairs: float

    def wrong(self, *right: str) -> float:
        """Return the share that was decided otherwise than ``right`` allows."""
        return sum(v for k, v in self.kinds.items() if k not in (*right, "undecided"))


def campaigns(differences: Floats, question: Question) -> Outcome:
    """Replay campaigns with a look after every pair.

    Parameters
    ----------
    differences
        [campaigns, pairs].
    """
    count, most = differences.shape
    n = np.arange(1, most + 1)
    above, below = (differences > 0).cumsum(axis=1), (differences < 0).cumsum(axis=1)
    found = _table(most)[above, below] >= 1 / question.alpha
    first = np.where(found.any(axis=1), found.argmax(axis=1), most)
    kind = np.full(count, "undecided", dtype=object)
    rows = np.flatnonzero(first < most)
    at = first[rows]
    kind[rows] = np.where(above[rows, at] > below[rows, at], "higher", "lower")
    if question.smallest is not None:
        inside = _inside(differences, above, below, n, question)
        earlier = np.where(inside.any(axis=1), inside.argmax(axis=1), most)
        sooner = (earlier <= first) & (earlier < most)
        kind[sooner], first = "equivalent", np.minimum(first, earlier)
    shares = {k: float(np.mean(kind == k)) for k in ("higher", "lower", "equivalent", "undecided")}
    return Outcome(shares, float(np.minimum(first + 1, most).mean()))


def _table(most: int) -> Floats:
    return np.array([[evidence(a, b) for b in range(most + 1)] for a in range(most + 1)])


def _inside(
    differences: Floats,
    above: NDArray[np.int_],
    below: NDArray[np.int_],
    n: NDArray[np.int_],
    question: Question,
) -> NDArray[np.bool_]:
    """Say for every look whether the intervals so far lie within the smallest effect of interest."""
    smallest = question.smallest
    assert smallest is not None
    if question.binary:
        triples = np.stack([above, n - above - below, below], axis=-1).reshape(-1, 3)
        unique, back = np.unique(triples, axis=0, return_inverse=True)
        bounds = np.array([tuple(excess(*map(int, t), question.alpha))[1:] for t in unique])
        low, high = (bounds[back.ravel(), i].reshape(above.shape) for i in (0, 1))
        high_in, low_in = high < smallest, low > -smallest
    else:
        # The upper bound is below the smallest effect where so many differences are.
        k = np.array([needed_above(int(size), question.alpha) for size in n])
        high_in = (differences < smallest).cumsum(axis=1) >= k
        low_in = (differences > -smallest).cumsum(axis=1) >= k
    running: NDArray[np.bool_] = np.logical_or.accumulate(high_in, axis=1)
    running &= np.logical_or.accumulate(low_in, axis=1)
    return running


def expected_pairs(most: int, alpha: float = ALPHA, replays: int = 2000) -> dict[str, float]:
    """Return the mean number of pairs that differ until the direction is decided, by scenario."""
    rng = np.random.default_rng(0)
    return {
        name: campaigns(
            np.where(rng.random((replays, most)) < share, 1.0, -1.0), Question(alpha=alpha)
        ).pairs
        for name, share in SCENARIOS.items()
    }
