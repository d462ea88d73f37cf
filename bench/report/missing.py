"""Numbers that runs do not have: NaN in every table, and the reason in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.metrics import METRICS, metric, plural

TEXTS = ("label", "status", "error", "folder", "cell", "stopped_epoch", "stopped_reason")
"""Columns that are not numbers, even where they are empty in all runs."""


def as_numbers(runs: pd.DataFrame) -> pd.DataFrame:
    """Make every column of numbers one, NaN where a run has none: null, absent or no number."""
    for name in METRICS:
        if name in runs:
            runs[name] = pd.to_numeric(runs[name], errors="coerce").astype(float)
    for name in runs.columns.difference([*METRICS, *TEXTS], sort=False):
        known = runs[name].dropna()
        if runs[name].dtype == object and all(type(value) in (int, float) for value in known):
            runs[name] = pd.to_numeric(runs[name]).astype(float)
    return runs


def reasons(runs: pd.DataFrame, results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which derived cells the truth does not know itself, and why a τ of finished runs is undefined.

    Parameters
    ----------
    runs
        One row per run (from `as_numbers`).
    results
        Folder name → what the run stored, its ``reasons`` among it.
    """
    ok = runs[runs["status"] == "ok"]
    judged = [
        row
        for _, row in ok.iterrows()
        if isinstance(results.get(str(row["folder"]), {}).get("truth"), dict)
    ]
    if lost := sum(not math.isfinite(row.get("true_accuracy", math.nan)) for row in judged):
        yield (
            f"The truth does not know the derived cell of {lost} of {len(judged)} finished "
            "runs: their true accuracy, regret and percentile are missing, and what is said of "
            "these holds for the other runs only."
        )
    if twins := sum("isomorphic" in results[str(row["folder"])]["truth"] for row in judged):
        yield (
            f"The truth knows the derived cell of {twins} of {len(judged)} finished runs by an "
            "isomorphic one, the same network, whose accuracy is given."
        )
    counts: Counter[tuple[str, str]] = Counter()
    for folder in ok["folder"]:
        stored = results.get(str(folder), {}).get("reasons")
        if isinstance(stored, dict):
            counts.update((name, str(why)) for name, why in stored.items() if name in METRICS)
    for (name, why), count in counts.items():
        yield (
            f"{metric(name).title} is undefined in {count} of {plural(len(ok), 'finished run')}: {why}."
        )
