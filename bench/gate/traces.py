"""The deterministic layer: searches of a few steps, each of which must be the recorded one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.devices import computing
from bench.gate.searches import TRACED, prepare, steps
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Protocol
from bench.search.loop import DivergedError
from bench.search.setup import Setup
from bench.search.state import SearchState

SEED = 0
CELLS = 12
BATCH_NORMS = ("batch", "recalibrated", "running")
Floats = NDArray[np.float64]
Traces = dict[str, dict[str, Floats]]
"""Search → what was traced → values, the first axis in time (of scores: over cells)."""

TOLERANCES = {"alpha": 1e-5, "gradient": 1e-4, "loss": 1e-5, "score": 1e-5}
"""How far a trace may be off by what it is of (before the first ``_``).

Absolute for alpha; relative to the largest entry for the others. At least 40 times what another
instruction set, other threads or double precision change (docs/gate.md).
"""


@dataclass(frozen=True)
class Finding:
    """One check of the deterministic layer.

    Attributes
    ----------
    distance, tolerance
        How far off and how far is allowed; NaN where it is yes or no.
    detail
        What was found, in words.
    """

    name: str
    ok: bool
    detail: str
    distance: float = float("nan")
    tolerance: float = float("nan")


def protocol(batch_norm: str) -> Protocol:
    """Return how the cells of the traced supernet are scored."""
    return Protocol.model_validate(
        {
            "population": {"size": CELLS, "disconnected": False},
            "images": 64,
            "batch": 32,
            "calibration": 64,
            "batch_norm": batch_norm,
            "resamples": 0,
        }
    )


def record(threads: int = 1) -> Traces:
    """Run all traced searches."""
    with computing(threads, deterministic=True):
        return {name: trace(name)[0] for name in TRACED}


def trace(name: str) -> tuple[dict[str, Floats], Setup, SearchState]:
    """Run one traced search; returns what was traced, and the search at its end."""
    setup, state = prepare(name, TRACED[name], SEED)
    alphas: list[Floats] = []
    gradients: list[Floats] = []

    def look(state: SearchState) -> None:
        alpha = state.architecture["alpha"]
        alphas.append(alpha.detach().double().numpy().copy())
        if alpha.grad is not None:
            gradients.append(alpha.grad.double().numpy().copy())

    # What a search that diverges leaves is too short to match.
    with contextlib.suppress(DivergedError):
        steps(setup, state, look)
    traced = {"alpha": np.array(alphas)}
    if gradients:
        traced["gradient"] = np.stack(gradients)
    for key in ("train_loss", "valid_loss"):
        traced[f"loss_{key.removesuffix('_loss')}"] = np.array([e[key] for e in state.history])
    if setup.settings.space.model_dump().get("running_statistics"):
        cells = protocol("batch").population.draw(setup.space).cells
        for kind in BATCH_NORMS:
            scores = evaluate(setup, state, cells, protocol(kind))
            traced[f"score_{kind}"] = scores.loss
    return traced, setup, state


def distance(kind: str, recorded: Floats, fresh: Floats) -> Floats:
    """Return how far each step is off, in the unit of the kind's tolerance [S]."""
    off = np.abs(recorded - fresh).reshape(len(recorded), -1).max(axis=1)
    scale = 1.0 if kind == "alpha" else float(np.abs(recorded).max()) or 1.0
    found: Floats = np.where(np.isfinite(off), off / scale, np.inf)
    return found


def compare(recorded: Traces, fresh: Traces) -> list[Finding]:
    """Compare traces step by step; what is missing on either side fails."""
    findings = []
    for name, parts in recorded.items():
        for part, values in parts.items():
            kind = part.split("_")[0]
            tolerance, title = TOLERANCES[kind], f"{name}: {part.replace('_', ' ')}"
            other = fresh.get(name, {}).get(part)
            if other is None or other.shape != values.shape:
                shape = "nothing" if other is None else f"shape {list(other.shape)}"
                detail = f"recorded {list(values.shape)}, found {shape}"
                findings.append(Finding(title, False, detail, np.inf, tolerance))
                continue
            off = distance(kind, values, other)
            bad = np.flatnonzero(off > tolerance)
            unit = "cell" if kind == "score" else "epoch" if kind == "loss" else "step"
            detail = "matches"
            if bad.size:
                detail = f"departs at {unit} {int(bad[0]) + 1} of {len(off)}"
            findings.append(Finding(title, not bad.size, detail, float(off.max()), tolerance))
    for name in fresh.keys() - recorded.keys():
        findings.append(Finding(name, False, "not in the baseline"))
    return findings


def to_plain(traces: Traces) -> dict[str, Any]:
    """Return traces as lists of floats with 9 figures, which float32 needs."""
    return {
        name: {part: _rounded(values.tolist()) for part, values in parts.items()}
        for name, parts in traces.items()
    }


def from_plain(content: dict[str, Any]) -> Traces:
    """Read what `to_plain` wrote."""
    return {
        name: {part: np.array(values, dtype=np.float64) for part, values in parts.items()}
        for name, parts in content.items()
    }


def _rounded(value: Any) -> Any:
    return [_rounded(v) for v in value] if isinstance(value, list) else float(f"{value:.9g}")
