"""Intervals, tests and effect sizes for few, bimodal, tied outcomes; intervals come first.

A search either collapses or does not, so its accuracies are bimodal and full of ties. Reported are
collapse rates with Wilson intervals, the interquartile mean with a stratified bootstrap, the
probability of improvement, Cliff's δ and paired sign-flip tests; never mean ± sd alone
(Agarwal et al. 2021, arXiv:2108.13264). A NaN in the input (a failed run) is never dropped here: it
makes the answer NaN, so that the caller has to say what a failure is worth. Whatever is random
takes an explicit seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

EXACT_UP_TO = 16
"""Largest number of pairs for which all 2^n sign patterns are enumerated."""
UNDEFINED_SHARE = 0.05
"""Share of resamples that may be undefined before the bounds of an interval are."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.estimate, self.low, self.high))

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def excludes(self, value: float) -> bool:
        """Say whether the interval is defined and leaves ``value`` out (the bounds count as in)."""
        return value < self.low or value > self.high


UNDEFINED = Interval(math.nan, math.nan, math.nan)
"""What cannot be estimated from the input."""


@dataclass(frozen=True)
class SignFlip:
    """A paired sign-flip test.

    Attributes
    ----------
    p
        The p value; NaN where there are no differences or one is NaN.
    floor
        The smallest p that this many non-zero differences could have given. A `p` at the floor says
        that every pair points the same way, and no more.
    n
        Number of pairs.
    exact
        Whether all sign patterns were enumerated.
    """

    p: float
    floor: float
    n: int
    exact: bool


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64).ravel()


def wilson(successes: int, total: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927).

    With no trials the estimate is NaN and the interval [0, 1].

    Parameters
    ----------
    successes, total
        Counts.
    level
        Of confidence.

    Returns
    -------
    Interval
        The share and its bounds, from 0 to 1.

    Raises
    ------
    ValueError
        Unless 0 ≤ successes ≤ total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"need 0 <= successes <= total, not {successes} of {total}")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = successes / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    # At the ends the bound is exactly 0 or 1; rounding must not say otherwise.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == total else centre + half
    return Interval(p, low, high)


def iqm(*samples: ArrayLike) -> float:
    """Return the interquartile mean of all samples pooled, as rliable does.

    ⌊n/4⌋ values are cut at each end, so it is the plain mean for n < 4; NaN when empty.
    """
    values = np.sort(np.concatenate([_floats(sample) for sample in samples]))
    if values.size == 0 or np.isnan(values[-1]):  # NaN sorts last
        return math.nan
    cut = values.size // 4
    return float(values[cut : values.size - cut].mean())


def mean(values: ArrayLike) -> float:
    """Return the mean."""
    return float(np.asarray(values, dtype=np.float64).mean())


def _iqm_of_rows(rows: Floats) -> Floats:
    """Return the interquartile mean of every row [R, n]; the same numbers as `iqm` gives."""
    ordered = np.sort(rows, axis=1)
    cut = rows.shape[1] // 4
    found: Floats = ordered[:, cut : rows.shape[1] - cut].mean(axis=1)
    return np.where(np.isnan(ordered[:, -1]), np.nan, found)


def _mean_of_rows(rows: Floats) -> Floats:
    return np.asarray(rows.mean(axis=1))


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """Return P(X > Y) + ½ P(X = Y) over all pairs; NaN when either is empty or holds a NaN."""
    a, b = _floats(x), np.sort(_floats(y))
    if a.size == 0 or b.size == 0 or np.isnan(a).any() or np.isnan(b[-1]):
        return math.nan
    below, upto = np.searchsorted(b, a, side="left"), np.searchsorted(b, a, side="right")
    return float((below + upto).sum() / (2 * a.size * b.size))


def cliffs_delta(x: ArrayLike, y: ArrayLike) -> float:
    """Return Cliff's δ = P(X > Y) − P(X < Y), in [−1, 1] (Cliff 1993)."""
    return 2 * probability_of_improvement(x, y) - 1


def percentile_interval(estimate: float, resampled: ArrayLike, level: float = 0.95) -> Interval:
    """Return the percentile interval of resampled estimates.

    Resamples on which the statistic is undefined (NaN) are left out; when they are more than
    `UNDEFINED_SHARE` of all, or the estimate itself is NaN, the bounds are NaN.
    """
    values = _floats(resampled)
    undefined = np.isnan(values)
    if math.isnan(estimate) or values.size == 0 or undefined.mean() > UNDEFINED_SHARE:
        return Interval(estimate, math.nan, math.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(values[~undefined], tails)
    return Interval(estimate, float(low), float(high))


def stratified_bootstrap(
    strata: Sequence[ArrayLike],
    statistic: Callable[..., float] = iqm,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the stratified percentile bootstrap interval of any statistic.

    Parameters
    ----------
    strata
        One sample per stratum (the seeds of one task, or of one variant). Each is resampled with replacement on
        its own, so that its share of the whole stays what it is.
    statistic
        Called as ``statistic(*strata)``: `iqm` pools them, `probability_of_improvement` and `cliffs_delta` take
        exactly two.
    seed
        Of the resampling.
    resamples
        How often.
    level
        Of confidence.

    Returns
    -------
    Interval
        The statistic of what was given, and the bounds, in its unit.
    """
    samples = [_floats(stratum) for stratum in strata]
    if not samples or any(sample.size == 0 for sample in samples):
        return UNDEFINED
    estimate = float(statistic(*samples))
    rng = np.random.default_rng(seed)
    if len(samples) == 1 and (of_rows := BY_ROWS.get(statistic)):  # at once: 50 times as fast
        (sample,) = samples
        drawn = sample[rng.integers(sample.size, size=(resamples, sample.size))]
        return percentile_interval(estimate, of_rows(drawn), level)
    resampled = [
        statistic(*(sample[rng.integers(sample.size, size=sample.size)] for sample in samples))
        for _ in range(resamples)
    ]
    return percentile_interval(estimate, resampled, level)


BY_ROWS: dict[Callable[..., float], Callable[[Floats], Floats]] = {
    iqm: _iqm_of_rows,
    mean: _mean_of_rows,
}
"""Statistics of one sample that can be had of many samples at once."""


def paired_difference(
    x: ArrayLike,
    y: ArrayLike,
    *,
    seed: int,
    statistic: Callable[..., float] = mean,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return a statistic (the mean) of the paired differences x − y with its bootstrap interval.

    Pairs are resampled whole. With few pairs the percentile interval is too narrow: read it beside
    `paired_sign_flip` and `too_few_seeds`.

    Raises
    ------
    ValueError
        When the two are not of one length.
    """
    a, b = _floats(x), _floats(y)
    if a.size != b.size:
        raise ValueError(f"pairs need equally many values, not {a.size} and {b.size}")
    return stratified_bootstrap([a - b], statistic, seed=seed, resamples=resamples, level=level)


def paired_sign_flip(
    differences: ArrayLike,
    *,
    seed: int,
    alternative: Alternative = "two-sided",
    resamples: int = 100_000,
    exact_up_to: int = EXACT_UP_TO,
) -> SignFlip:
    """Test whether paired differences are symmetric about zero by flipping their signs.

    The statistic is the sum (equivalently the mean). Up to ``exact_up_to`` pairs all 2^n sign
    patterns are enumerated, beyond that ``resamples`` are drawn and p = (hits + 1)/(resamples + 1)
    (Phipson and Smyth 2010). Differences of exactly zero are kept in n but cannot flip, so they
    raise the floor.

    Parameters
    ----------
    differences
        One per pair [n].
    seed
        Draws sign patterns where there are too many to try all.
    alternative
        ``greater``: the differences tend to be positive.
    resamples
        Sign patterns drawn beyond ``exact_up_to`` pairs.
    exact_up_to
        Pairs up to which all sign patterns are tried.

    Returns
    -------
    SignFlip
        p, and the least p that so many pairs can have.
    """
    d = _floats(differences)
    nonzero = int(np.count_nonzero(d))
    sides = 2 if alternative == "two-sided" else 1
    exact = d.size <= exact_up_to
    floor = min(1.0, sides * 2.0**-nonzero)
    if not exact:
        floor = max(floor, 1 / (resamples + 1))
    if d.size == 0 or not np.isfinite(d).all():
        return SignFlip(math.nan, floor, int(d.size), exact)
    if exact:
        sums = np.zeros(1)
        for value in d:
            sums = np.concatenate([sums + value, sums - value])
    else:
        rng = np.random.default_rng(seed)
        sums = np.concatenate(
            [
                (2.0 * rng.integers(0, 2, size=(chunk, d.size)) - 1) @ d
                for chunk in _chunks(resamples, 10_000)
            ]
        )
    observed = float(d.sum())
    if alternative == "two-sided":
        sums, observed = np.abs(sums), abs(observed)
    elif alternative == "less":
        sums, observed = -sums, -observed
    # Equal sums may differ by rounding: the observed pattern must always count itself.
    hits = int(np.count_nonzero(sums >= observed - 1e-12 * np.abs(d).sum()))
    p = hits / sums.size if exact else (hits + 1) / (sums.size + 1)
    return SignFlip(p, floor, int(d.size), exact)


def _chunks(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's step-down adjusted p values, in the order given (Holm 1979).

    A NaN stays NaN and still counts as one of the tests: a comparison that failed was planned.
    """
    p = _floats(p_values)
    # NaN sorts last, so the tests that have a p come first with factors m, m − 1, ...
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def seeds_needed(tests: int = 1, alpha: float = 0.05) -> int:
    """Return the smallest n at which a two-sided sign-flip test can pass Holm over ``tests``.

    Its floor is 2^(1−n), and the smallest p of a family is multiplied by ``tests``: 6 seeds for one
    test, 9 for ten at α = 0.05.
    """
    if tests < 1 or not 0 < alpha < 1:
        raise ValueError(f"need tests >= 1 and 0 < alpha < 1, not {tests} and {alpha}")
    n = 1
    while tests * 2.0 ** (1 - n) > alpha:
        n += 1
    return n


def too_few_seeds(n: int, tests: int = 1, alpha: float = 0.05) -> str | None:
    """Say in one sentence that ``n`` pairs cannot conclude anything, or return None if they can."""
    needed = seeds_needed(tests, alpha)
    if n >= needed:
        return None
    floor = min(1.0, tests * 2.0 ** (1 - n))
    family = "one comparison" if tests == 1 else f"Holm over {tests} comparisons"
    return (
        f"too few seeds to conclude: with {n} paired seed{'' if n == 1 else 's'} and {family} p "
        f"cannot fall below {floor:.2g}; {needed} seeds are needed for {alpha:g}"
    )


def student_half_width(values: ArrayLike, level: float = 0.95) -> Floats:
    """Return half the width of Student's interval of a mean [...] of values [..., n]; NaN for n < 2."""
    from scipy import stats  # late: takes a second

    d = np.asarray(values, dtype=float)
    if (n := d.shape[-1]) < 2:
        return np.full(d.shape[:-1], math.nan)
    half: Floats = stats.t.ppf((1 + level) / 2, n - 1) * d.std(axis=-1, ddof=1) / np.sqrt(n)
    return half


def student(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return a mean with Student's interval; the finite values count, and one alone has no bounds."""
    d = np.asarray(values, dtype=float)
    d = d[np.isfinite(d)]
    if d.size == 0:
        return UNDEFINED
    centre, half = float(d.mean()), float(student_half_width(d, level))
    return Interval(centre, centre - half, centre + half)
