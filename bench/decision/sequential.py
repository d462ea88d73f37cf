"""A paired test that stays valid when it is looked at after every pair, and may stop at any.

A pair of seeds gives a difference d. Under no effect it is as likely to be above zero as below.
Somebody who bets a share f of a fortune on "above" multiplies it by 1 + f, 1 or 1 − f when d is above
zero, zero or below; on average the fortune stays what it is, however the bets are chosen, so that it
ever reaches 20 times its start with a probability of at most 1/20 (Ville 1939): a look costs nothing.
The fortune here is split evenly over both directions and, within each, over all f by the upper half of
a Beta(¼, ¼) on [−1, 1]; it depends on the counts alone, so the order within a look does not matter.

The same bet against every other value of what is estimated gives a confidence sequence, an interval
that holds at all looks together:

- of the excess P(above) − P(below), which for an outcome of 0 or 1 is the difference of the rates: the
  hedged capital process of Waudby-Smith and Ramdas 2024 (JRSS B 86(1), arXiv:2010.09686) for a mean
  in [−1, 1];
- of the median difference: bets that a difference is above (or below) a value, where the bounds are
  order statistics (Howard and Ramdas 2022, Bernoulli 28(3), arXiv:1906.09712). Nothing is assumed of
  the differences' distribution, and a difference may be infinite (a search that never got there).

Both are intersected over the looks so far (Ramdas et al. 2023, Game-theoretic statistics and safe
anytime-valid inference, arXiv:2210.01948).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.statistics import UNDEFINED, Floats, Interval

ALPHA = 0.05
HORIZON = 1000
"""Pairs beyond which the number that would still be needed is not given."""

Kind = Literal["higher", "lower", "equivalent", "undecided"]


@functools.cache
def fractions(count: int = 256) -> Floats:
    """Return shares of the fortune that are bet, equally weighted: quantiles of the upper half of the prior."""
    from scipy import stats  # late: takes a second

    middle = 0.5 + (np.arange(count) + 0.5) / (2 * count)
    return np.asarray(2 * stats.beta(0.25, 0.25).ppf(middle) - 1, dtype=np.float64)


STEP = 0.005
GRID = np.round(np.arange(-1 + STEP, 1 - STEP / 2, STEP), 6)
"""Values of the excess that are tested."""


@functools.cache
def _logs() -> tuple[Floats, Floats]:
    """Return log factors [up or down][above, tied, below] of a bet against every value: [3, m, f]."""
    m = GRID[:, None]
    up, down = fractions()[None] / (1 + m), fractions()[None] / (1 - m)
    signs = (1.0, 0.0, -1.0)
    return (
        np.stack([np.log1p(up * (s - m)) for s in signs]),
        np.stack([np.log1p(-down * (s - m)) for s in signs]),
    )


@functools.cache
def evidence(above: int, below: int) -> float:
    """Return the fortune from a bet against "as likely above as below"; ties change nothing."""
    win, lose = np.log1p(fractions()), np.log1p(-fractions())
    up, down = above * win + below * lose, below * win + above * lose
    return float((np.exp(up).mean() + np.exp(down).mean()) / 2)


@functools.lru_cache(maxsize=100_000)
def excess(above: int, tied: int, below: int, alpha: float = ALPHA) -> Interval:
    """Return P(above) − P(below) with the interval of this look alone."""
    n = above + tied + below
    if n == 0:
        return Interval(math.nan, -1.0, 1.0)
    counts = np.array([above, tied, below], dtype=float)
    up, down = (np.exp(np.tensordot(counts, logs, 1)).mean(axis=1) for logs in _logs())
    over = np.log((up + down) / 2) - math.log(1 / alpha)  # kept is what is below zero
    kept, estimate = np.flatnonzero(over < 0), (above - below) / n
    if not kept.size:
        return Interval(estimate, estimate, estimate)
    first, last = int(kept[0]), int(kept[-1])
    return Interval(estimate, _crossing(over, first - 1, first), _crossing(over, last + 1, last))


def _crossing(over: Floats, out: int, kept: int) -> float:
    """Return where the fortune is just large enough, between a value left out and one kept."""
    if not 0 <= out < over.size:
        return math.copysign(1.0, GRID[kept])
    share = over[out] / (over[out] - over[kept])
    return float(GRID[out] + share * (GRID[kept] - GRID[out]))


@functools.cache
def wealth_above(above: int, n: int) -> float:
    """Return the fortune from a bet that more than half lie above a value, ``above`` of ``n`` did."""
    return float(
        np.exp(above * np.log1p(fractions()) + (n - above) * np.log1p(-fractions())).mean()
    )


def rate_above(outcomes: ArrayLike, alpha: float = ALPHA) -> float:
    """Return the lower bound of a rate that holds at every look, from a 0 or 1 per search in order.

    Somebody bets that the rate is above r, on all rates p above it alike: a 1 multiplies by p/r, a 0 by
    (1 − p)/(1 − r), which is fair at r and loses below it. What is left out is every r at which the
    fortune was ever 1/α or more.
    """
    hits, low = np.asarray(outcomes, dtype=np.float64), 0.0
    for r in np.linspace(0.0, 1.0, 401)[1:-1]:
        if not hits.size or wealth_of_rate(hits, float(r)).max() < 1 / alpha:
            break
        low = float(r)
    return low


def wealth_of_rate(hits: Floats, r: float) -> Floats:
    """Return the fortune of a bet on a rate above r at every look; the last dimension is looks."""
    looks = np.arange(1, hits.shape[-1] + 1)
    ones, p = hits.cumsum(axis=-1), r + (1 - r) * (np.arange(200) + 0.5) / 200
    total = np.zeros_like(ones, dtype=np.float64)
    for win, lose in zip(np.log(p / r), np.log((1 - p) / (1 - r)), strict=True):
        total += np.exp(ones * win + (looks - ones) * lose)
    return total / p.size


@functools.cache
def needed_above(n: int, alpha: float = ALPHA) -> int:
    """Return how many of ``n`` must be above a value to exclude a median at or below it."""
    enough = (k for k in range(n + 1) if wealth_above(k, n) >= 2 / alpha)
    return next(enough, n + 1)


def median_interval(differences: ArrayLike, alpha: float = ALPHA) -> Interval:
    """Return the median with the interval of this look alone; infinite bounds below 6 differences."""
    d = np.sort(np.asarray(differences, dtype=np.float64))
    if d.size == 0:
        return UNDEFINED
    k = needed_above(d.size, alpha)
    middle = float(d[(d.size - 1) // 2] / 2 + d[d.size // 2] / 2)
    if k > d.size:
        return Interval(middle, -math.inf, math.inf)
    return Interval(middle, float(d[d.size - k]), float(d[k - 1]))


@dataclass(frozen=True)
class Question:
    """What is to be decided of differences.

    Attributes
    ----------
    binary
        The outcome of a run is 0 or 1: what is estimated is the difference of the rates; else the
        median difference.
    smallest
        Smallest effect of interest, in the unit of what is estimated; None: that there is nothing
        of interest cannot be decided.
    """

    binary: bool = False
    smallest: float | None = None
    alpha: float = ALPHA


@dataclass(frozen=True)
class Decision:
    """What the pairs so far say.

    Attributes
    ----------
    kind
        ``higher`` or ``lower``: the direction is decided; ``equivalent``: the effect, if there is
        one, is smaller than the smallest of interest.
    at
        Number of pairs at the look that decided; None where it is undecided.
    pairs, above, below
        How many there are, how many above zero and below.
    effect
        Difference of rates or median difference, with its confidence sequence.
    evidence
        The fortune against no effect; its reciprocal is a p that holds at every look.
    """

    kind: Kind
    at: int | None
    pairs: int
    above: int
    below: int
    effect: Interval
    evidence: float

    @property
    def decided(self) -> bool:
        """Whether more pairs are not needed."""
        return self.kind != "undecided"

    @property
    def p(self) -> float:
        """The reciprocal of the evidence, at most 1: an anytime-valid p."""
        return min(1.0, 1 / self.evidence)


def decide(differences: Sequence[float], question: Question) -> Decision:
    """Look after every pair, in the order given, and decide at the first look that can.

    A decision stays; effect and interval take in all pairs. Differences must be numbers (infinite
    ones count where the outcome is not binary): a pair that failed has none and is not given here.
    """
    kind: Kind = "undecided"
    at: int | None = None
    above = below = 0
    low, high = -math.inf, math.inf
    effect = Interval(math.nan, low, high)
    for n, d in enumerate(differences, start=1):
        above, below = above + (d > 0), below + (d < 0)
        if question.binary:
            effect = excess(above, n - above - below, below, question.alpha)
        else:
            effect = median_interval(differences[:n], question.alpha)
        low, high = max(low, effect.low), min(high, effect.high)
        if at is None:
            kind = _kind(above, below, low, high, question)
            at = None if kind == "undecided" else n
    # Both hold; should the intersection leave out the estimate, the look's own is easier to read.
    bounds = (low, high) if low <= effect.estimate <= high else (effect.low, effect.high)
    shown = Interval(effect.estimate, *bounds)
    return Decision(kind, at, len(differences), above, below, shown, evidence(above, below))


def _kind(above: int, below: int, low: float, high: float, question: Question) -> Kind:
    if question.smallest is not None and -question.smallest < low and high < question.smallest:
        return "equivalent"
    if evidence(above, below) >= 1 / question.alpha:
        return "higher" if above > below else "lower"
    return "undecided"


def more(differences: Sequence[float], question: Question) -> int | None:
    """Return how many more pairs would decide, if they went on like those so far.

    The pairs are repeated in their order. None where `HORIZON` would not do; 0 where it is decided.
    """
    if decide(differences, question).decided:
        return 0
    n = len(differences)
    if n == 0:
        return fewest(question.alpha)
    d = np.asarray(differences, dtype=np.float64)
    size = n
    while size < HORIZON:
        size += max(1, size // 20)
        repeated = np.resize(d, size)
        above, below = int((repeated > 0).sum()), int((repeated < 0).sum())
        effect = (
            excess(above, size - above - below, below, question.alpha)
            if question.binary
            else median_interval(repeated, question.alpha)
        )
        if _kind(above, below, effect.low, effect.high, question) != "undecided":
            return size - n
    return None


@functools.cache
def fewest(alpha: float = ALPHA) -> int:
    """Return the smallest number of pairs that can decide: all point the same way."""
    n = 1
    while evidence(n, 0) < 1 / alpha:
        n += 1
    return n
