"""An explanation of DARTS's failure put to the test, by rules that are written before the run.

An ablation file may state an ``explanation``: what is claimed and the criteria that it stands or
falls with. Each criterion is a difference per seed, the direction claimed and the smallest effect
of interest. On the 95 % interval of its mean over seeds (Student's t; nothing is concluded below
`FEWEST` seeds) it is

- refuted, where even the upper bound is below the smallest effect of interest;
- confirmed, where the lower bound is above zero and the mean at least that effect;
- undecided otherwise.

The explanation is refuted where any criterion is, for it needs them all; confirmed where all are
(an intersection-union test, which needs no correction within) and its p, the largest of its
criteria's one-sided p, stays below 5 % after Holm over the explanations judged together; undecided
otherwise. Effects of interest with a bound for refutation: Lakens 2017, doi:10.1177/1948550617697177.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import stats

from bench.statistics import UNDEFINED, Interval, holm

FEWEST = 5
"""Seeds below which nothing is concluded."""
LEVEL = 0.95
MOST = 1000
"""Seeds beyond which the number that would be needed is not given."""

Kind = Literal["confirmed", "refuted", "undecided"]


class Criterion(BaseModel):
    """One thing that must be so if the explanation holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
    when: tuple[float, float] | None = Field(
        None,
        description="average the readings of this part of the search, [0, 0.33] is its first "
        "third; null: the number of the finished run, or its last reading",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.against is not None and self.value:
            raise ValueError("against and value exclude each other")
        if self.against == self.of:
            raise ValueError(f"of and against are both {self.of!r}")
        if self.when is not None and not 0 <= self.when[0] < self.when[1] <= 1:
            raise ValueError("when: expected two shares of the search, 0 ≤ from < to ≤ 1")
        return self

    @property
    def quantity(self) -> str:
        """What is measured, in a few words."""
        return f"τ({self.metric}, {self.beside})" if self.beside else self.metric

    @property
    def sign(self) -> int:
        """Which way the claim points."""
        return 1 if self.expect == "higher" else -1


class Explanation(BaseModel):
    """A claim and the criteria that it stands or falls with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(min_length=1)
    criteria: tuple[Criterion, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Decision:
    """What the runs say of one criterion.

    Attributes
    ----------
    effect
        Mean over seeds of ``of − against`` with its interval, in the metric's own direction.
    p
        One-sided, of no effect in the direction claimed; NaN where there is no interval.
    seeds
        How many have a number.
    more
        Seeds that would decide it if mean and spread stayed as they are; None where it is decided
        or more than `MOST` were needed.
    """

    kind: Kind
    effect: Interval
    p: float
    seeds: int
    more: int | None


def judge(differences: ArrayLike, criterion: Criterion) -> Decision:
    """Decide one criterion from a difference per seed."""
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if d.size == 0:
        return Decision("undecided", UNDEFINED, math.nan, 0, FEWEST)
    mean = float(d.mean())
    if d.size == 1:
        alone = Interval(mean, math.nan, math.nan)
        return Decision("undecided", alone, math.nan, 1, FEWEST - 1)
    spread, n = float(d.std(ddof=1)), int(d.size)
    half, claimed = _half(spread, n), criterion.sign * mean
    effect = Interval(mean, mean - half, mean + half)
    if spread == 0:
        p = 0.0 if claimed > 0 else 1.0
    else:
        p = float(stats.t.sf(claimed / (spread / math.sqrt(n)), n - 1))
    kind: Kind = "undecided"
    if n >= FEWEST:
        kind = _kind(claimed, half, criterion.smallest)
    more = _more(claimed, spread, n, criterion.smallest) if kind == "undecided" else None
    return Decision(kind, effect, p, n, more)


def _half(spread: float, n: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * spread / math.sqrt(n)


def _kind(claimed: float, half: float, smallest: float) -> Kind:
    if claimed + half < smallest:
        return "refuted"
    return "confirmed" if claimed - half > 0 and claimed >= smallest else "undecided"


def _more(claimed: float, spread: float, n: int, smallest: float) -> int | None:
    for size in range(max(n, FEWEST), MOST + 1):
        if _kind(claimed, _half(spread, size), smallest) != "undecided":
            return max(1, size - n)
    return None


def together(decisions: Sequence[Sequence[Decision]]) -> list[tuple[Kind, float]]:
    """Decide explanations from the decisions on their criteria; returns kind and Holm's p of each."""
    worst = [max((d.p for d in own), default=math.nan) for own in decisions]
    worst = [math.nan if any(math.isnan(d.p) for d in own) else p
             for own, p in zip(decisions, worst, strict=True)]  # fmt: skip
    corrected = holm([1.0 if math.isnan(p) else p for p in worst])
    found: list[tuple[Kind, float]] = []
    for own, p in zip(decisions, corrected.tolist(), strict=True):
        kinds = [d.kind for d in own]
        kind: Kind = "undecided"
        if "refuted" in kinds:
            kind = "refuted"
        elif set(kinds) == {"confirmed"} and p < 1 - LEVEL:
            kind = "confirmed"
        found.append((kind, p))
    return found
