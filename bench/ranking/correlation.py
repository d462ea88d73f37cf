"""The panel: how well scores rank architectures against ground truth, with intervals.

Scores and truth are better when higher. The primary number is Kendall's τ-b, which is defined
under ties. What cannot be measured is NaN and its reason is kept: scores or truth that hold a NaN
or are constant, fewer architectures than the measure needs. Nothing raises and nothing is dropped.

Every τ-b here may be weighted: the weight of a pair is the product of the weights of its two
architectures. Inverse inclusion probabilities as weights make a stratified sample stand for its
population; bootstrap counts as weights make a resample, so that hundreds of resamples are one
matrix product.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.statistics import UNDEFINED, Floats, Interval, percentile_interval

BLOCK = 512
"""Columns of the matrix of pairs that are held at a time; 13 MB for 6,466 architectures."""


def _vector(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64).ravel()


def why_undefined(scores: ArrayLike, truth: ArrayLike) -> str | None:
    """Say why these cannot be correlated, or return None where they can.

    Raises
    ------
    ValueError
        When the two are not of one length; that is a mistake, not an outcome.
    """
    x, y = _vector(scores), _vector(truth)
    if x.size != y.size:
        raise ValueError(f"need one score per architecture, not {x.size} for {y.size}")
    if x.size < 2:
        return f"only {x.size} architecture{'' if x.size == 1 else 's'}"
    for name, values in (("scores", x), ("truth", y)):
        if missing := int(np.isnan(values).sum()):
            return f"{missing} of {values.size} {name} are NaN"
        if (values == values[0]).all():
            return f"all {name} are equal"
    return None


def _tied_weight(codes: NDArray[np.intp], weights: Floats) -> Floats:
    """Return Σ over groups of equal codes of the squared weight, per row of weights [R, n]."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    grouped: Floats = weights[:, order]
    if starts.size < codes.size:  # else each is a group of its own
        grouped = np.add.reduceat(grouped, starts, axis=1)
    return np.asarray((grouped**2).sum(axis=1))


def _taus(scores: Floats, truth: Floats, weights: Floats) -> Floats:
    """Return the weighted τ-b of each row of weights [R, n]; NaN where a row leaves only ties.

    τ_b = Σ w_i w_j s_ij t_ij / √(Σ w_i w_j s_ij² · Σ w_i w_j t_ij²) with s, t the signs of the
    differences.
    """
    x = np.unique(scores, return_inverse=True)[1].ravel()
    y = np.unique(truth, return_inverse=True)[1].ravel()
    total = weights.sum(axis=1)
    # Sums of bootstrap counts are small integers: exact in single precision.
    small = (weights == np.rint(weights)).all() and total.max(initial=0) < 2**24
    kind = np.float32 if small else np.float64
    a, b, w = x.astype(np.float32), y.astype(np.float32), weights.astype(kind)
    concordance = np.zeros(len(weights))
    block_size = BLOCK // 2 if small else BLOCK
    for start in range(0, x.size, block_size):
        block = slice(start, start + block_size)
        # Every pair stands twice in the matrix. Where sums are exact, half of it is enough, twice.
        rows = slice(start + block_size if small else None)
        signs = np.sign(a[rows, None] - a[block]) * np.sign(b[rows, None] - b[block])
        if small:
            signs[:start] *= 2
        sums = (w[:, rows] @ signs.astype(kind, copy=False)).astype(np.float64)
        concordance += (sums * weights[:, block]).sum(axis=1)
    untied_x, untied_y = (total**2 - _tied_weight(codes, weights) for codes in (x, y))
    # Rounding may leave a trace of weight where there is none.
    undefined = np.minimum(untied_x, untied_y) <= 1e-12 * total**2
    scale = np.sqrt(np.where(undefined, np.nan, untied_x) * np.where(undefined, np.nan, untied_y))
    return np.asarray(np.clip(concordance / scale, -1.0, 1.0))


def tau_b(scores: ArrayLike, truth: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return Kendall's τ-b (Kendall 1945) of values [N]; NaN where undefined.

    A pair of architectures counts as much as the product of its two weights.

    Parameters
    ----------
    scores, truth
        A value per architecture [N] each.
    weights
        Inverse inclusion probabilities [N] of a stratified sample; None: all count alike.

    Returns
    -------
    float
        −1 to 1.
    """
    from scipy import stats  # late: takes a second

    if why_undefined(scores, truth):
        return math.nan
    if weights is None:
        return float(stats.kendalltau(_vector(scores), _vector(truth)).statistic)
    return float(_taus(_vector(scores), _vector(truth), _vector(weights)[None])[0])


def _draw(rng: np.random.Generator, resamples: int, n: int, strata: ArrayLike | None) -> Floats:
    """Draw bootstrap counts [R, n]; within each stratum where there are any."""
    counts = np.zeros((resamples, n))
    labels = np.zeros(n) if strata is None else np.asarray(strata).ravel()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        shares = np.full(members.size, 1 / members.size)
        counts[:, members] = rng.multinomial(members.size, shares, size=resamples)
    return counts


def tau_interval(
    scores: ArrayLike,
    truth: ArrayLike,
    resamples: int,
    seed: int,
    *,
    level: float = 0.95,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    shared: bool = True,
) -> Interval:
    """Return τ-b, averaged over supernet seeds, with its nested bootstrap interval.

    Parameters
    ----------
    scores
        One value per architecture [N], or one such row per supernet seed [S, N]. Seeds are
        resampled first, then architectures within them.
    truth
        One value per architecture [N].
    weights, strata
        Design weights and labels [N] of a stratified sample; it is resampled within its strata.
    shared
        Every seed ranks the same architectures, so one draw of them serves all seeds of a resample.
        Otherwise each seed gets its own draw, which is narrower.

    Notes
    -----
    NaN if any seed's τ is: a diverged supernet is counted, not dropped. Below about five seeds the
    interval is too narrow. An architecture drawn twice is tied with itself, which τ-b leaves out.
    500 resamples cost 0.1 s for 1,000 architectures, 2 s for 6,466.
    """
    rows, y = np.atleast_2d(np.asarray(scores, dtype=np.float64)), _vector(truth)
    if rows.size == 0 or any(why_undefined(row, y) for row in rows):
        return UNDEFINED
    rng = np.random.default_rng(seed)
    seeds, n = rows.shape
    drawn = rng.integers(seeds, size=(resamples, seeds))
    common = _draw(rng, resamples, n, strata)
    taus = np.empty((resamples, seeds))
    for s, row in enumerate(rows):
        which, slot = np.nonzero(drawn == s)
        if shared and weights is None:  # a seed drawn twice in a resample has the same τ twice
            once, place = np.unique(which, return_inverse=True)
            taus[which, slot] = _taus(row, y, common[once])[place]
            continue
        counts = common[which] if shared else _draw(rng, which.size, n, strata)
        taus[which, slot] = _taus(row, y, counts if weights is None else counts * _vector(weights))
    estimate = float(np.mean([tau_b(row, y, weights) for row in rows]))
    return percentile_interval(estimate, taus.mean(axis=1), level)


def top(truth: ArrayLike, size: float, weights: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Mark the best architectures by truth that together weigh ``size`` [N].

    Ties at the boundary are all in, and so is at least the best.
    """
    y = _vector(truth)
    w = np.ones(y.size) if weights is None else _vector(weights)
    order = np.argsort(-y, kind="stable")
    reached = np.searchsorted(np.cumsum(w[order]), size * (1 - 1e-12))
    return np.asarray(y >= y[order[min(int(reached), y.size - 1)]])


def top_tau(
    scores: ArrayLike, truth: ArrayLike, size: float, weights: ArrayLike | None = None
) -> float:
    """Return τ-b among the ``size`` best architectures by truth (see `top`)."""
    if why_undefined(scores, truth):
        return math.nan
    x, y, best = _vector(scores), _vector(truth), top(truth, size, weights)
    return tau_b(x[best], y[best], None if weights is None else _vector(weights)[best])


def sparse_tau(scores: ArrayLike, truth: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return τ-b with truth rounded to 0.1 percentage points (Yu et al. 2020, arXiv:1902.08142)."""
    return tau_b(scores, np.round(_vector(truth), 1), weights)


def weighted_tau(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return the additive hyperbolic weighted τ, averaged over both rankings (Vigna 2015).

    Mistakes among the best count most. This is scipy's `weightedtau`, as in most NAS papers.
    """
    from scipy import stats  # late: takes a second

    if why_undefined(scores, truth):
        return math.nan
    return float(stats.weightedtau(_vector(scores), _vector(truth)).statistic)


def spearman(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return Spearman's ρ with mid-ranks under ties."""
    from scipy import stats  # late: takes a second

    if why_undefined(scores, truth):
        return math.nan
    return float(stats.spearmanr(_vector(scores), _vector(truth)).statistic)


def _chosen(values: Floats, k: int) -> Floats:
    """Return each one's probability of being among the k highest, ties broken at random."""
    threshold = np.sort(values)[-k]
    above, tied = values > threshold, values == threshold
    return np.asarray(above + tied * ((k - above.sum()) / tied.sum()))


def precision_at(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Return the share of the k best by score that are among the k best by truth.

    Ties at either boundary are broken at random: the expectation is returned. NaN for k > N.
    """
    x, y = _vector(scores), _vector(truth)
    if why_undefined(x, y) or not 1 <= k <= x.size:
        return math.nan
    return float(_chosen(x, k) @ _chosen(y, k) / k)


def best_rank_at(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Return the rank by truth (1 is best) of the best of the k best by score.

    Ties in truth share the best rank; of scores tied at the boundary as many as fit are taken at
    random and the expectation is returned. NaN for k > N. Ning et al. 2021, arXiv:2008.03064.
    """
    x, y = _vector(scores), _vector(truth)
    if why_undefined(x, y) or not 1 <= k <= x.size:
        return math.nan
    ranks = 1.0 + y.size - np.searchsorted(np.sort(y), y, side="right")
    threshold = np.sort(x)[-k]
    sure = float(ranks[x > threshold].min(initial=np.inf))
    tied = np.sort(ranks[x == threshold])
    seats = k - int((x > threshold).sum())
    # The j-th best of the tied counts when it is drawn and no better one was.
    expected, none_better = 0.0, 1.0
    for j, rank in enumerate(tied):
        drawn = seats / (tied.size - j)
        expected += none_better * min(1.0, drawn) * min(sure, float(rank))
        none_better *= max(0.0, 1 - drawn)
    return expected


def partial_tau(
    scores: ArrayLike, truth: ArrayLike, given: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return Kendall's partial τ of scores and truth given a third variable (the parameters).

    (τ_xy − τ_xz τ_yz)/√((1 − τ_xz²)(1 − τ_yz²)) with τ-b each; NaN where one of them is, or where
    the third determines one of the others.
    """
    xy, xz, yz = (
        tau_b(*pair, weights) for pair in ((scores, truth), (scores, given), (truth, given))
    )
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / math.sqrt(left) if left > 1e-12 else math.nan


def regret(scores: ArrayLike, truth: ArrayLike, best: float | None = None) -> float:
    """Return how much worse the scores' favourite is than the best, in points of truth.

    Parameters
    ----------
    best
        The best there is; by default the best of ``truth``. Tied favourites count their mean.
    """
    if why_undefined(scores, truth):
        return math.nan
    x, y = _vector(scores), _vector(truth)
    return (float(y.max()) if best is None else best) - float(y[x == x.max()].mean())


def noise_ceiling(truth_by_seed: ArrayLike, fewest: int = 0) -> float:
    """Return τ-b of the truth with itself: the mean over pairs of training seeds.

    The mean of T seeds is less noisy, so scores that are compared with it may exceed this.

    Parameters
    ----------
    truth_by_seed
        Accuracy per architecture and training seed [N, T]; NaN where a trial is missing. A pair of seeds is
        compared on the architectures that have both.
    fewest
        Pairs of seeds that share fewer architectures are left out.

    Returns
    -------
    float
        −1 to 1; NaN where there is no pair of seeds, or τ is undefined for one.
    """
    table = np.asarray(truth_by_seed, dtype=np.float64)
    if table.ndim != 2:
        return math.nan
    taus = []
    for i, j in itertools.combinations(range(table.shape[1]), 2):
        both = ~np.isnan(table[:, i] + table[:, j])
        if both.sum() < fewest:
            continue
        taus.append(tau_b(table[both, i], table[both, j]))
    return float(np.mean(taus)) if taus else math.nan
