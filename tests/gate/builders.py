"""A baseline without searches: a bank drawn from a normal distribution, and no traces."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bench.gate import baseline
from bench.gate.calibration import detectable
from bench.gate.searches import JUDGED, METRICS, metrics_of
from bench.gate.seedbank import BANK, choose_k

CENTRES = {
    "tau": (0.3, 0.05),
    "path_accuracy": (94.0, 0.4),
    "top_tenth": (91.5, 0.7),
    "true_accuracy": (91.0, 1.5),
    "valid_accuracy": (98.0, 0.5),
    "mixture_gain": (0.03, 0.005),
}


def outcome(name: str, seed: int, drop: dict[str, float] | None = None) -> dict[str, float]:
    """Stand in for a judged search: the same every time, as a search is."""
    found = {}
    for metric in metrics_of(name):
        centre, spread = CENTRES[metric]
        draws = np.random.default_rng([seed, zlib.crc32(metric.encode())])
        found[metric] = float(centre + spread * draws.normal() - (drop or {}).get(metric, 0.0))
    return found


def bank() -> dict[str, list[float]]:
    """Return what the stand-ins give for the seeds of a bank."""
    rows = [{k: v for n in JUDGED for k, v in outcome(n, seed).items()} for seed in range(BANK)]
    return {metric: [row[metric] for row in rows] for metric in METRICS}


def stand_in(folder: Path, **changes: Any) -> baseline.Baseline:
    """Write and read a baseline that was made without a search."""
    values = bank()
    margins = {name: margin for name, (*_, margin) in METRICS.items()}
    matrix = np.array(list(values.values())).T
    limits = list(margins.values())
    content: dict[str, Any] = {
        "reason": "made up",
        "provenance": baseline.provenance(),
        "traces": {},
        "truth": {},
        "bank": values,
        "k": choose_k(len(values)),
        "margins": margins,
        "detectable": {
            name: detectable(matrix, limits, i, replays=300) for i, name in enumerate(values)
        },
    }
    baseline.write(baseline.Baseline(**{**content, **changes}), folder)
    return baseline.read(folder)
