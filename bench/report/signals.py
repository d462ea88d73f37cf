"""Which signal leads? Every reading beside the moment from which the true accuracy falls.

A search has one series per reading, a number per epoch. The moment at which a series changes is
that of the step function which fits it best by least squares: the first epoch of the second level.
The accuracy's change counts where it falls by at least `FALL` points; a reading's lead is how many
epochs its own change comes before that, in the same search. Both moments come from one rule, so
that no threshold is chosen for any reading. A reading that hardly changes has no moment: its step
must explain at least `EXPLAINED` of the variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bench.report.summary import Summary
from bench.statistics import student, wilson

TRUE = "true_accuracy"
FALL = 5.0
"""Points by which the true accuracy must fall for a search to count."""
EXPLAINED = 0.5
"""Share of a series' variance that its step must explain."""
SHORTEST = 6
"""Readings below which nothing is looked for."""
LEFT_OUT = frozenset({"train_accuracy", "alpha"})


@dataclass(frozen=True)
class Change:
    """The step that fits a series best: ``at`` is the first index of the second level."""

    at: int
    before: float
    after: float
    explained: float


def change(values: ArrayLike) -> Change | None:
    """Return the best single step of a series [T]; None where it is too short or constant."""
    x: NDArray[np.float64] = np.asarray(values, dtype=float)
    total = float(((x - x.mean()) ** 2).sum()) if x.size else 0.0
    if x.size < SHORTEST or not np.isfinite(x).all() or total < 1e-24:
        return None
    n, sums = x.size, np.cumsum(x)
    k = np.arange(1, n)
    first, second = sums[:-1] / k, (sums[-1] - sums[:-1]) / (n - k)
    between = k * (n - k) / n * (first - second) ** 2
    best = int(between.argmax())
    return Change(best + 1, float(first[best]), float(second[best]), float(between[best]) / total)


def fall(values: ArrayLike) -> Change | None:
    """Return where the true accuracy falls; None where it does not by `FALL` points."""
    found = change(values)
    return found if found is not None and found.before - found.after >= FALL else None


def frame(summary: Summary) -> pd.DataFrame:
    """Return all readings of all finished searches, a row per label, seed and epoch.

    Columns beside those: one per reading; only epochs at which the true accuracy was read.
    """
    history = summary.history[summary.history["status"] == "ok"]
    if history.empty:
        return pd.DataFrame(columns=["label", "seed", "epoch", TRUE])
    wide = history.pivot_table(index=["label", "seed", "epoch"], columns="metric", values="value")
    wide = wide[wide[TRUE].notna()] if TRUE in wide else wide.iloc[:0]
    return wide.reset_index().rename_axis(columns=None)


def leads(readings: pd.DataFrame) -> pd.DataFrame:
    """Return by how many epochs each reading's change comes before the accuracy's fall.

    Parameters
    ----------
    readings
        As `frame` gives it.

    Returns
    -------
    pandas.DataFrame
        A row per search whose accuracy falls and reading: label, seed, signal, fall and change
        (epochs), lead (NaN where the reading has no change).
    """
    columns = ["label", "seed", "signal", "fall", "change", "lead"]
    names = [c for c in readings if c not in {"label", "seed", "epoch", TRUE} | LEFT_OUT]
    rows = []
    for (label, seed), run in readings.groupby(["label", "seed"], sort=False):
        ordered = run.sort_values("epoch")
        if (found := fall(ordered[TRUE])) is None:
            continue
        at = int(ordered["epoch"].iloc[found.at])
        for name in names:
            own = ordered[["epoch", name]].dropna()
            step = change(own[name])
            when = math.nan
            if step is not None and step.explained >= EXPLAINED:
                when = float(own["epoch"].iloc[step.at])
            if len(own) >= SHORTEST:
                rows.append((label, seed, name, at, when, at - when))
    return pd.DataFrame(rows, columns=columns)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Summarise `leads` over searches: which signal leads, by how much, how surely.

    Returns
    -------
    pandas.DataFrame
        A row per signal, the longest lead first: searches, changes (how many have one), lead with
        Student's interval in epochs, and the share of searches in which it leads by at least one
        epoch with Wilson's interval; a signal without a change does not lead.
    """
    rows = []
    for name, own in found.groupby("signal", sort=False):
        lead = own["lead"].to_numpy(dtype=float)
        had = lead[np.isfinite(lead)]
        mean, share = student(had), wilson(int((had >= 1).sum()), len(lead))
        rows.append(
            {
                "signal": name,
                "searches": len(lead),
                "changes": len(had),
                "lead": mean.estimate,
                "lead_low": mean.low,
                "lead_high": mean.high,
                "leads": share.estimate,
                "leads_low": share.low,
                "leads_high": share.high,
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    return frame.sort_values(["leads", "lead"], ascending=False, ignore_index=True)
