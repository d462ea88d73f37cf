"""An explanation of DARTS's failure put to the test, by rules that are written before the run.

An ablation file may state an ``explanation``: what is claimed, how often the baseline must have failed
for there to be anything to explain, and criteria, one of them primary. A criterion is a difference per
seed, the direction claimed and the smallest effect of interest δ. The same is asked of both answers:

- confirmed, where in more than half of all searches the difference is beyond δ;
- refuted, where in more than half of all searches it falls short of δ;
- undecided otherwise.

Each by the exact sign test of the differences about δ, which takes nothing to be normal, symmetric or
continuous: counts are tied and bimodal, and a search that never came there has no number but still lies
beyond every other (it is censored, and counted). A difference of exactly δ counts for neither answer.
The p is two-sided, so that both directions are corrected alike, and Holm's over the explanations that
are judged together. Where seeds were added until a contrast was decided, the p is that of a bet that
holds at every look (`bench.decision.sequential`). Fewer than `seeds_needed` seeds decide nothing, as
everywhere in this package: it is the same test that says so.

The primary criterion decides; the others are reported and can neither confirm nor refute. And nothing is
judged at all where the baseline did not fail: its failure rate must have a lower 95 % bound (exact,
Clopper and Pearson 1934; where seeds were added, that of a bet) above the value that the file states.

Effects of interest with a bound on both sides: Lakens 2017, doi:10.1177/1948550617697177.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, Field, model_validator

from bench.contracts.plain import Plain
from bench.decision.sequential import rate_above, wealth_above
from bench.statistics import UNDEFINED, Floats, Interval, holm, seeds_needed

ALPHA = 0.05
MOST = 1000
"""Seeds beyond which the number that would be needed is not given."""

Kind = Literal["confirmed", "refuted", "undecided", "not judged"]


class Criterion(Plain):
    """One thing that must be so if the explanation holds."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False
    )

    says: str = Field(min_length=1, description="what is expected, in words")
    metric: str = Field(description="a column of the results or a reading of an instrument")
    beside: str | None = Field(
        None,
        description="a second reading: the number of a search is then Kendall's τ-b of the two "
        "over its epochs, not an average",
    )
    of: str = Field(description="the variant that is asked about")
    against: str | None = Field(None, description="its control, paired by seed; null: `value`")
    value: float = Field(0.0, description="what `of` is compared with where there is no control")
    expect: Literal["lower", "higher"]
    smallest: float = Field(gt=0, description="smallest effect of interest, in the metric's unit")
    role: Literal["primary", "support"] = Field(
        "support", description="the one primary criterion decides; the others support or do not"
    )
    when: tuple[float, float] | None = Field(
        None,
        description="average the readings of this part of the search, [0, 0.33] is its first "
        "third; null: the number of the finished run, or its last reading",
    )

    matched: str | None = Field(
        None,
        description="a reading that falls along a search, as a loss does: the numbers of a pair are "
        "read where it was the same in both, at the lowest that both reached",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.against is not None and self.value:
            raise ValueError("against and value exclude each other")
        if self.against == self.of:
            raise ValueError(f"of and against are both {self.of!r}")
        if self.when is not None and not 0 <= self.when[0] < self.when[1] <= 1:
            raise ValueError("when: expected two shares of the search, 0 ≤ from < to ≤ 1")
        if self.matched is not None and (self.against is None or self.when or self.beside):
            raise ValueError("matched needs against, and excludes when and beside")
        return self

    @property
    def quantity(self) -> str:
        """What is measured, in a few words."""
        if self.matched:
            return f"{self.metric} at equal {self.matched}"
        return f"τ({self.metric}, {self.beside})" if self.beside else self.metric

    @property
    def sign(self) -> int:
        """Which way the claim points."""
        return 1 if self.expect == "higher" else -1


class Failure(Plain):
    """What the baseline must have done often enough for there to be anything to explain."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str = Field("collapsed", description="1 where a search failed, 0 where it did not")
    of: str = Field("darts", description="the baseline")
    above: float = Field(
        0.5, ge=0, lt=1, description="what the lower bound of its failure rate must be above"
    )


class Explanation(Plain):
    """A claim, how often the baseline must have failed, and the criteria with one that decides."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    claim: str = Field(min_length=1)
    failure: Failure
    criteria: tuple[Criterion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_primary(self) -> Self:
        count = sum(c.role == "primary" for c in self.criteria)
        if count != 1:
            raise ValueError(f"exactly one criterion must have `role: primary`, not {count}")
        return self


@dataclass(frozen=True)
class Failed:
    """How often the baseline failed.

    Attributes
    ----------
    low
        Lower 95 % bound of the rate; 0 without runs.
    enough
        Whether it is above what the explanation asks for.
    """

    failed: int
    runs: int
    low: float
    enough: bool


def manipulated(outcomes: Sequence[float], failure: Failure, looked: bool = False) -> Failed:
    """Say whether the baseline failed often enough, from a 0 or 1 per finished run.

    Parameters
    ----------
    outcomes
        In the order of the seeds.
    looked
        Seeds were added until something was decided: the bound must hold at every look.
    """
    from scipy import stats  # late: takes a second

    runs, failed = len(outcomes), int(sum(outcomes))
    if looked:
        # A first stretch of failures may have excluded what all searches together show: then they count.
        low = min(rate_above(outcomes), failed / max(1, runs))
    else:
        low = float(stats.beta.ppf(ALPHA, failed, runs - failed + 1)) if failed else 0.0
    return Failed(failed, runs, low, low > failure.above)


@dataclass(frozen=True)
class Decision:
    """What the runs say of one criterion.

    Attributes
    ----------
    kind
        Without correction for other criteria.
    effect
        Median over seeds of ``of − against`` in the metric's own direction, with the bounds that go with
        the test; infinite where these seeds can bound nothing.
    p
        Two-sided, of "beyond δ in half of all searches"; NaN where there is no seed.
    leaning
        Which answer the p is about.
    seeds, beyond, short
        How many there are, beyond δ in the direction claimed, and short of it.
    more
        Seeds that would decide it if they went on like these; None where it is decided or more than
        `MOST` were needed.
    """

    kind: Kind
    effect: Interval
    p: float
    leaning: Kind
    seeds: int
    beyond: int
    short: int
    more: int | None


def judge(
    differences: ArrayLike, criterion: Criterion, tests: int = 1, looked: bool = False
) -> Decision:
    """Decide one criterion from a difference per seed, in the order of the seeds.

    Parameters
    ----------
    differences
        [n], in the metric's unit. Infinite where one of the two never came there, NaN where both did not:
        counted, for neither answer. A seed whose run failed is not given.
    criterion
        What is expected, and the smallest difference that matters.
    tests
        How many are judged together: for the bounds shown, and for how many seeds are needed.
    looked
        Seeds were added until something was decided: the p must hold at every look.

    Returns
    -------
    Decision
        Confirmed, refuted or undecided, with the numbers that say so.
    """
    d = np.asarray(differences, dtype=float)
    if d.size == 0:
        return Decision("undecided", UNDEFINED, math.nan, "undecided", 0, 0, 0, seeds_needed(tests))
    beyond, short = _sides(d, criterion)
    p, leaning = _p(beyond, short, looked)
    kind: Kind = leaning if p <= ALPHA else "undecided"
    more = None if p * tests <= ALPHA else _more(d, criterion, tests, looked)
    effect = _median(d, ALPHA / tests)
    return Decision(
        kind, effect, p, leaning, int(d.size), int(beyond.sum()), int(short.sum()), more
    )


Signs = NDArray[np.bool_]


def _sides(d: Floats, criterion: Criterion) -> tuple[Signs, Signs]:
    claimed = criterion.sign * d
    # A difference of two numbers is off by their last bit: 90.3 − 88.3 is no more than 2.
    tied = np.isclose(claimed, criterion.smallest, rtol=1e-9, atol=0)
    return (claimed > criterion.smallest) & ~tied, (claimed < criterion.smallest) & ~tied


def _p(beyond: Signs, short: Signs, looked: bool) -> tuple[float, Kind]:
    """Return the two-sided p and the answer that it is about."""
    one = [_one_sided(side, looked) for side in (beyond, short)]
    leaning: Kind = "confirmed" if one[0] < one[1] else "refuted"
    if one[0] == one[1]:
        leaning = "undecided"
    return min(1.0, 2 * min(one)), leaning


def _one_sided(hits: Signs, looked: bool) -> float:
    from scipy import stats  # late: takes a second

    n = hits.size
    if not looked:
        return float(stats.binom.sf(int(hits.sum()) - 1, n, 0.5))
    counts = np.cumsum(hits)
    return 1 / max(1.0, *(wealth_above(int(k), i) for i, k in enumerate(counts, start=1)))


def _more(d: Floats, criterion: Criterion, tests: int, looked: bool) -> int | None:
    size = int(d.size)
    while size < MOST:
        size += max(1, size // 20)
        beyond, short = _sides(np.resize(d, size), criterion)
        if _p(beyond, short, looked)[0] * tests <= ALPHA:
            return size - int(d.size)
    return None


def _median(d: Floats, alpha: float) -> Interval:
    """Return the median with order statistics as bounds, as the sign test has them."""
    from scipy import stats  # late: takes a second

    d = np.sort(d[~np.isnan(d)])
    if not d.size:
        return UNDEFINED
    middle = float(d[(d.size - 1) // 2] / 2 + d[d.size // 2] / 2)
    # The k-th from either end, k the most that a tail of alpha / 2 allows.
    k = int(stats.binom.ppf(alpha / 2, d.size, 0.5))
    if stats.binom.cdf(k, d.size, 0.5) > alpha / 2:
        k -= 1
    if k < 0:
        return Interval(middle, -math.inf, math.inf)
    return Interval(middle, float(d[k]), float(d[d.size - 1 - k]))


def together(primaries: Sequence[Decision], failures: Sequence[Failed]) -> list[tuple[Kind, float]]:
    """Decide explanations from their primary criteria; returns kind and Holm's p of each.

    Those whose baseline did not fail are not judged, and still count as tests: they were planned.
    """
    corrected = holm([1.0 if math.isnan(d.p) else d.p for d in primaries]).tolist()
    found: list[tuple[Kind, float]] = []
    for decision, failed, p in zip(primaries, failures, corrected, strict=True):
        kind: Kind = decision.leaning if p <= ALPHA else "undecided"
        found.append((kind if failed.enough else "not judged", p))
    return found
