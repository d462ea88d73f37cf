"""Two searches compared where they had come equally far, not where they ended.

What a net does to its operations depends on how much it has learned, and an intervention that slows
learning would pass for one that prevents what learning brings. So both numbers of a pair are read at
the same level of something that falls along a search: the lowest that both reached.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pandas as pd

from bench.ablation.criteria import Criterion

if TYPE_CHECKING:
    from bench.report.summary import Summary


def at_equal_level(summary: Summary, criterion: Criterion) -> dict[int, float]:
    """Return ``of − against`` at the lowest level that both reached, for every seed that has it."""
    ours, theirs = (
        _paths(summary, label, criterion) for label in (criterion.of, str(criterion.against))
    )
    found = {}
    for seed in sorted(set(ours) & set(theirs)):
        level = max(min(at for at, _ in path[seed]) for path in (ours, theirs))
        found[seed] = value_at(ours[seed], level) - value_at(theirs[seed], level)
    return found


def value_at(path: list[tuple[float, float]], level: float) -> float:
    """Return the value when (level, value) readings first come down to a level.

    Linear in the level between two readings; the first reading's value where that is there already.
    """
    if path[0][0] <= level:
        return path[0][1]
    for (above, before), (at, after) in itertools.pairwise(path):
        if at <= level:
            return before + (after - before) * (above - level) / (above - at)
    raise ValueError(f"no reading at or below {level}")


def _paths(
    summary: Summary, label: str, criterion: Criterion
) -> dict[int, list[tuple[float, float]]]:
    """Return (level, value) in the order of epochs, for every finished run of a variant."""
    history = summary.history
    own = history[(history["label"] == label) & (history["status"] == "ok")]
    both = {
        name: own[own["metric"] == name].set_index(["seed", "epoch"])["value"]
        for name in (str(criterion.matched), criterion.metric)
    }
    frame = pd.concat(both, axis=1).dropna().sort_index().reset_index()
    return {
        int(str(seed)): list(
            zip(
                run[str(criterion.matched)].astype(float),
                run[criterion.metric].astype(float),
                strict=True,
            )
        )
        for seed, run in frame.groupby("seed")
    }
