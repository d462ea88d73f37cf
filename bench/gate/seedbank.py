"""The statistical layer: fresh seeds against a bank of recorded ones, by ranks alone.

A metric is suspect when all m fresh seeds fall strictly below the k-th smallest of the n₀ recorded
ones. Where nothing has changed all n₀ + m values are exchangeable, whatever their distribution, so
that this has probability C(m+k−1, m)/C(m+n₀, m), and ties only lower it. It has regressed when c
confirming seeds all fall there too, which by the same count has C(m+c+k−1, m+c)/C(m+c+n₀, m+c), and
the median has dropped by more than a stated margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

BANK, FRESH, CONFIRMING = 20, 3, 5
"""Seeds recorded (n₀), fresh per check (m), and run only where something is suspect."""
FALSE_ALARMS = 0.01
"""Most that any metric may be called regressed by chance: the false alarms of the gate."""
SUSPECTS = 0.05
"""Most that any metric may be suspect by chance, which costs confirming seeds and no more."""

Status = Literal["ok", "suspect", "cleared", "regressed"]


@dataclass(frozen=True)
class Judgement:
    """What the bank says of one metric.

    Attributes
    ----------
    status
        ``suspect`` only before confirming seeds were run; ``cleared`` when they did not confirm.
    threshold
        The bank's k-th smallest value.
    drop
        Median of the bank minus median of all new seeds; positive is worse.
    """

    metric: str
    status: Status
    bank: tuple[float, ...]
    fresh: tuple[float, ...]
    confirming: tuple[float, ...]
    k: int
    threshold: float
    drop: float
    margin: float


def null_probability(n: int, m: int, k: int) -> float:
    """Return the probability that m new values all fall below the k-th smallest of n, by chance."""
    return math.comb(m + k - 1, m) / math.comb(m + n, m)


def by_chance(metrics: int, k: int, n: int = BANK) -> tuple[float, float]:
    """Bound the probabilities that any metric is suspect, and that any is called regressed.

    By Bonferroni, so that it holds however the metrics depend on each other; the margin only
    lowers the second.
    """
    return (
        metrics * null_probability(n, FRESH, k),
        metrics * null_probability(n, FRESH + CONFIRMING, k),
    )


def choose_k(metrics: int, n: int = BANK) -> int:
    """Return the largest k, the one that sees most, at which both limits hold.

    Raises
    ------
    ValueError
        When even k = 1 does not hold them: the bank is too small.
    """
    limits = (SUSPECTS, FALSE_ALARMS)
    held = [
        k
        for k in range(1, n + 1)
        if all(p <= limit for p, limit in zip(by_chance(metrics, k, n), limits, strict=True))
    ]
    if not held:
        raise ValueError(f"a bank of {n} seeds is too small for {metrics} metrics")
    return held[-1]


def threshold(bank: Sequence[float], k: int) -> float:
    """Return the k-th smallest value."""
    return float(np.sort(np.asarray(bank, dtype=float))[k - 1])


def below(values: Sequence[float], limit: float) -> bool:
    """Say whether all values are strictly below; NaN (a search that diverged) counts as below."""
    return bool(np.all(_failed_low(values) < limit))


def judge(
    metric: str,
    bank: Sequence[float],
    fresh: Sequence[float],
    confirming: Sequence[float],
    k: int,
    margin: float,
) -> Judgement:
    """Judge one metric.

    Parameters
    ----------
    confirming
        Empty until something is suspect.

    Raises
    ------
    ValueError
        When the bank holds what is no number.
    """
    if not np.isfinite(np.asarray(bank, dtype=float)).all():
        raise ValueError(f"the bank of {metric} holds what is not a finite number")
    limit = threshold(bank, k)
    news = _failed_low([*fresh, *confirming])
    drop = float(np.median(np.asarray(bank, dtype=float)) - np.median(news))
    status: Status = "ok"
    if below(fresh, limit):
        status = "suspect"
        if len(confirming):
            confirmed = below(confirming, limit) and drop > margin
            status = "regressed" if confirmed else "cleared"
    return Judgement(
        metric, status, tuple(bank), tuple(fresh), tuple(confirming), k, limit, drop, margin
    )


def _failed_low(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    return np.where(np.isnan(array), -np.inf, array)
