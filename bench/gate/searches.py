"""The micro-searches of the gate: seconds each, on embedded data and truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch

from bench.devices import computing
from bench.runs.spec import RunSpec
from bench.search.loop import search
from bench.search.setup import Setup, build, initial_state
from bench.search.state import SearchState

Numbers = dict[str, float]
Definition = dict[str, Any]
"""``variants`` (name → parameters) and ``settings``, as plain data."""

_CELL = {"name": "nb201", "channels": 4, "cells": 1}
# Four steps of two epochs: enough for momentum, the cosine and a second order of the images, too
# few for rounding to grow.
_FEW = {
    "space": _CELL,
    "data": {"name": "digits", "size": 128},
    "truth": "analog",
    "search": {
        "epochs": 2,
        "batch": 32,
        "weights": {"lr": 0.1},
        "architecture": {"lr": 0.003},
    },
    "selection": "argmax",
    "ranking": None,
    "instruments": ["supernet_accuracy"],
    "device": "cpu",
}

TRACED: dict[str, Definition] = {
    "first_order": {"variants": {}, "settings": _FEW},
    "one_step_exact": {"variants": {}, "settings": {**_FEW, "hypergradient": "one_step_exact"}},
    "skip_dropout": {"variants": {"skip_dropout": {"rate": 0.3}}, "settings": _FEW},
    "uniform_sampling": {
        "variants": {"uniform_sampling": {}},
        "settings": {**_FEW, "space": {**_CELL, "running_statistics": True}},
    },
}
"""Searches of a few steps whose every step is recorded."""

_PROTOCOL = {
    "population": {"size": 200, "disconnected": False},
    "images": 500,
    "score": "loss",
    "resamples": 0,
}

JUDGED: dict[str, Definition] = {
    "sampled": {
        "variants": {"uniform_sampling": {}},
        "settings": {
            **_FEW,
            "space": {**_CELL, "channels": 8},
            "data": "digits",
            "search": {"epochs": 60, "batch": 64, "weights": {"lr": 0.1}},
            "ranking": _PROTOCOL,
            "instruments": [],
        },
    },
    "skip_dropout": {
        "variants": {"skip_dropout": {"rate": 0.3}},
        "settings": {
            **_FEW,
            "space": {**_CELL, "channels": 8},
            "data": "digits",
            "search": {"epochs": 10, "batch": 64, "architecture": {"lr": 0.01}},
            "instruments": [{"name": "supernet_accuracy", "every": 10}],
        },
    },
}
"""Searches whose outcome is compared with a bank of seeds."""

METRICS: dict[str, tuple[str, str, str, float]] = {
    "tau": ("sampled", "τ of the sampled supernet, by loss", "", 0.05),
    "top_tenth": ("sampled", "true accuracy of the sampled supernet's top tenth", "%", 0.5),
    "path_accuracy": ("sampled", "accuracy of the sampled supernet's sub-networks", "%", 0.5),
    "true_accuracy": ("skip_dropout", "true accuracy of skip dropout's cell", "%", 1.0),
    "valid_accuracy": ("skip_dropout", "accuracy of skip dropout's supernet", "%", 0.5),
    "mixture_gain": ("skip_dropout", "validation loss that skip dropout's α saves", "nats", 0.005),
}
"""Metric → the search that it is of, its title, its unit, and the drop that matters (margin)."""


def digest() -> str:
    """Hash what the gate measures, so that a baseline of another gate is not compared."""
    content = {"traced": TRACED, "judged": JUDGED, "metrics": METRICS}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def prepare(label: str, definition: Definition, seed: int) -> tuple[Setup, SearchState]:
    """Return the setup and the state before the first step."""
    spec = RunSpec.model_validate(
        {
            "ablation": "gate",
            "label": label,
            "seed": seed,
            "variants": [{"name": n, **p} for n, p in definition["variants"].items()],
            # The same numbers with and without a compiler.
            "settings": {**definition["settings"], "kernel": "torch"},
        }
    )
    setup = build(spec.settings, spec.variants, seed)
    return setup, initial_state(setup)


def steps(setup: Setup, state: SearchState, look: Callable[[SearchState], None]) -> None:
    """Run a search to its end and ``look`` at the state after every step."""

    def looked() -> bool:  # polled by the loop between steps
        look(state)
        return False

    search(setup, state, asked_to_stop=looked)


def outcome(name: str, seed: int) -> Numbers:
    """Run one of the judged searches; a search that diverges is worth NaN in every metric."""
    from bench.ranking.measure import measure  # late: saves start-up time
    from bench.runs.run import judge_cell  # late: saves start-up time
    from bench.search.loop import DivergedError  # late: saves start-up time

    with computing(1, deterministic=True):
        setup, state = prepare(name, JUDGED[name], seed)
        try:
            search(setup, state)
        except DivergedError:
            return dict.fromkeys(metrics_of(name), float("nan"))
        settings = setup.settings
        if settings.ranking is not None:
            ranking = measure(setup, state, settings.ranking)
            best = ranking.table.sort_values("loss", kind="stable").head(len(ranking.table) // 10)
            return {
                "tau": float(ranking.loss.tau.estimate),
                "top_tenth": float(best["truth"].mean()),
                "path_accuracy": float(ranking.table["accuracy"].mean()),
            }
        assert settings.selection is not None
        cell, learned = settings.selection.select(setup, state), state.history[-1]
        with torch.no_grad():  # the same weights under an even mixture
            state.architecture["alpha"].zero_()
        even = settings.instruments[0].observe(setup, state)
        return {
            "true_accuracy": float(judge_cell(setup, cell)["true_accuracy"]),
            "valid_accuracy": float(learned["valid_accuracy"]),
            "mixture_gain": float(even["valid_loss"] - learned["valid_loss"]),
        }


def metrics_of(name: str) -> list[str]:
    """Return the metrics that a judged search gives."""
    return [metric for metric, (search, *_) in METRICS.items() if search == name]


def outcomes(
    seeds: list[int], jobs: int = 1, notify: Callable[[str], None] = lambda text: None
) -> dict[int, Numbers]:
    """Run every judged search with every seed: seed → all metrics.

    Parameters
    ----------
    jobs
        Processes side by side, one thread each; 1: in this process.
    """
    tasks = [(name, seed) for seed in seeds for name in JUDGED]
    found: dict[int, Numbers] = {seed: {} for seed in seeds}

    def take(name: str, seed: int, numbers: Numbers) -> None:
        found[seed] |= numbers
        shown = ", ".join(f"{key} {value:.3f}" for key, value in numbers.items())
        notify(f"{name} seed {seed}: {shown}")

    if jobs == 1:
        for name, seed in tasks:
            take(name, seed, outcome(name, seed))
        return found
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Spawned: a fork of a process that has run torch may hang in its thread pool.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        futures = [pool.submit(outcome, *task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            take(*task, future.result())
    return found
