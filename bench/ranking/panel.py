"""Everything that is reported of one ranking: τ with its interval, and the other measures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.ranking.correlation import (
    _vector,
    best_rank_at,
    noise_ceiling,
    partial_tau,
    precision_at,
    regret,
    sparse_tau,
    spearman,
    tau_b,
    tau_interval,
    top_tau,
    weighted_tau,
    why_undefined,
)
from bench.statistics import Interval


@dataclass(frozen=True)
class Panel:
    """Everything that is reported of one ranking.

    Attributes
    ----------
    tau
        τ-b with its bootstrap interval; design-weighted where weights were given.
    values
        The other measures by name, among them ``tau_parameters``, the τ-b of the parameter count
        on the same architectures (the baseline to beat), and ``noise_ceiling``.
    reasons
        Why a measure is NaN, for each that is.
    """

    n: int
    design_weighted: bool
    tau: Interval
    values: Mapping[str, float]
    reasons: Mapping[str, str]

    def flat(self) -> dict[str, Any]:
        """Return one flat row: numbers by name, and the reasons as one text."""
        return {
            "n": self.n,
            "design_weighted": self.design_weighted,
            **dict(zip(("tau", "tau_low", "tau_high"), self.tau, strict=True)),
            **self.values,
            "reasons": "; ".join(f"{name}: {why}" for name, why in self.reasons.items()),
        }


def panel(
    scores: ArrayLike,
    truth: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    seed: int,
    truth_by_seed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    best: float | None = None,
    ks: Sequence[int] = (10, 100),
    resamples: int = 500,
) -> Panel:
    """Measure everything that is reported of one ranking.

    Parameters
    ----------
    scores, truth
        One value per architecture [N].
    parameters
        Parameter count per architecture [N], for the baseline and the partial τ.
    truth_by_seed
        Accuracy per architecture and training seed [N, T], for the noise ceiling.
    weights, strata
        Design weights and stratum labels [N] of a stratified sample.
    best
        The best accuracy of the whole table, for the regret; otherwise the best of ``truth``.
    ks
        For precision@k and best-rank@k.
    """
    x, y = _vector(scores), _vector(truth)
    size = x.size if weights is None else float(_vector(weights).sum())
    interval = tau_interval(x, y, resamples, seed, weights=weights, strata=strata)
    given = np.full(x.size, math.nan) if parameters is None else _vector(parameters)
    values = {
        "tau_parameters": tau_b(given, y, weights),
        "noise_ceiling": math.nan if truth_by_seed is None else noise_ceiling(truth_by_seed),
        "tau_top10pct": top_tau(x, y, 0.1 * size, weights),
        "tau_top100": top_tau(x, y, 100, weights) if size > 100 else math.nan,
        "tau_sparse": sparse_tau(x, y, weights),
        "tau_partial": partial_tau(x, y, given, weights),
        "regret": regret(x, y, best),
    }
    # These have no design-weighted form here, and of the sample alone they would mislead.
    only_unweighted = {"tau_weighted": weighted_tau(x, y), "spearman": spearman(x, y)}
    for k in ks:
        only_unweighted[f"precision_at_{k}"] = precision_at(x, y, k)
        only_unweighted[f"best_rank_at_{k}"] = best_rank_at(x, y, k)
    for name, value in only_unweighted.items():
        values[name] = value if weights is None else math.nan

    why = why_undefined(given, y)
    no_parameters = "no parameter counts given" if parameters is None else why
    undefined = why_undefined(x, y)
    special = {
        "tau_parameters": no_parameters,
        "noise_ceiling": "no truth per training seed given"
        if truth_by_seed is None
        else "fewer than two training seeds, or too little in common",
        "tau_interval": undefined
        or (None if resamples else "no resamples were asked for")
        or f"undefined on too many resamples of {x.size} architectures",
        "tau_top10pct": undefined or "too few, or only ties, among the top 10 %",
        "tau_top100": undefined or f"the population has {size:g} architectures, or ties only",
        "tau_sparse": undefined or "truth is constant at 0.1 %",
        "tau_partial": undefined or no_parameters or "parameters determine scores or truth",
    }
    other = "not defined under design weights" if weights is not None else f"k exceeds N = {x.size}"
    numbers = {"tau": interval.estimate, "tau_interval": interval.low, **values}
    reasons = {
        name: special.get(name) or undefined or other
        for name, value in numbers.items()
        if math.isnan(value)
    }
    return Panel(x.size, weights is not None, interval, values, reasons)
