"""How often the statistical layer is wrong and what it sees: by simulation, in numpy alone.

The population is a smoothed bank: a recorded seed drawn at random with all its metrics, so that
they keep their dependence, plus normal noise of Silverman's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.gate.seedbank import CONFIRMING, FRESH, choose_k

Floats = NDArray[np.float64]
POWER = 0.9


@dataclass(frozen=True)
class Rates:
    """Shares of simulated checks.

    Attributes
    ----------
    suspect
        At least one metric asked for confirming seeds.
    red
        At least one metric regressed: the false-alarm rate where nothing was changed.
    """

    suspect: float
    red: float
    replays: int


def population(bank: Floats, size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Draw seeds from the smoothed bank.

    Parameters
    ----------
    bank
        [n, metrics].

    Returns
    -------
    ndarray
        [*size, metrics]
    """
    n = len(bank)
    width = 1.06 * bank.std(axis=0, ddof=1) * n ** (-0.2)
    picked = bank[rng.integers(n, size=size)]
    noisy: Floats = picked + width * rng.standard_normal(picked.shape)
    # Smoothing widens; put mean and spread back to the bank's.
    shrink = bank.std(axis=0, ddof=1) / np.sqrt(bank.var(axis=0, ddof=1) + width**2 + 1e-300)
    centre = bank.mean(axis=0)
    drawn: Floats = centre + (noisy - centre) * shrink
    return drawn


def replay(
    bank: Floats,
    margins: Sequence[float],
    *,
    drop: Sequence[float] | None = None,
    fixed_bank: bool = False,
    replays: int = 2000,
    seed: int = 0,
    k: int | None = None,
) -> Rates:
    """Simulate checks.

    Parameters
    ----------
    bank
        Recorded values [n₀, metrics].
    drop
        What is taken off every new seed, per metric; None: nothing has changed.
    fixed_bank
        Keep the recorded bank, as a project does between baselines; False: draw a new one each
        time, which is what the stated probability is about.
    """
    rng = np.random.default_rng(seed)
    n, metrics = bank.shape
    k = choose_k(metrics, n) if k is None else k
    banks = (
        np.broadcast_to(bank, (replays, n, metrics))
        if fixed_bank
        else population(bank, (replays, n), rng)
    )
    limits = np.sort(banks, axis=1)[:, k - 1]
    news = population(bank, (replays, FRESH + CONFIRMING), rng)
    news = news - (0.0 if drop is None else np.asarray(drop))
    lower = news < limits[:, None]
    suspect = lower[:, :FRESH].all(axis=1)
    fallen = np.median(banks, axis=1) - np.median(news, axis=1)
    red = suspect & lower.all(axis=1) & (fallen > np.asarray(margins))
    shares = [float(np.mean(np.any(alarm, axis=1))) for alarm in (suspect, red)]
    return Rates(shares[0], shares[1], replays)


def detectable(
    bank: Floats, margins: Sequence[float], metric: int, *, replays: int = 2000, seed: int = 0
) -> float:
    """Return the smallest drop of one metric alone that turns the gate red in 90 % of checks.

    The simulated share must be above 90 % by two of its standard errors, so that the drop does not
    owe itself to the draws that it was found with.
    """
    metrics = bank.shape[1]
    wanted = POWER + 2 * (POWER * (1 - POWER) / replays) ** 0.5

    def seen(size: float) -> bool:
        drop = np.zeros(metrics)
        drop[metric] = size
        rates = replay(bank, margins, drop=drop.tolist(), replays=replays, seed=seed)
        return bool(rates.red >= wanted)

    low, high = 0.0, max(margins[metric], 10 * float(bank[:, metric].std(ddof=1)), 1e-6)
    while not seen(high):
        high *= 2
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
