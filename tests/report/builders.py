"""Output folders as `bench run` leaves them, with known numbers and without any search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.runs import store

SKIPS = "|{0}~0|+|{0}~0|{0}~1|+|{0}~0|{0}~1|{0}~2|".format("skip_connect")
GOOD = "|{0}~0|+|{0}~0|{0}~1|+|skip_connect~0|{0}~1|{0}~2|".format("nor_conv_3x3")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
TRUTH = {
    "dataset": "cifar10",
    "split": "test",
    "budget": 200,
    "provenance": "made up for a test",
    "sha256": "ab" * 32,
    "cells": 15625,
    "best": 94.0,
    "random": 87.0,
}


def ok(skips: float, accuracy: float = 90.0, **more: Any) -> dict[str, Any]:
    """Return what a finished run stores, with this many skips and this true accuracy."""
    return {
        "status": "ok",
        "cell": SKIPS if skips >= 5 else GOOD,
        "skip_count": skips,
        "weight_free_share": skips / 6,
        "connected": True,
        "valid_accuracy": 60.0,
        "true_accuracy": accuracy,
        "regret": 94.0 - accuracy,
        "percentile": 50.0,
        "truth": TRUTH,
        "data": {"dataset": "cifar10", "images": 1000},
        "tau": 0.3,
        "tau_low": 0.2,
        "tau_high": 0.4,
        "tau_loss": 0.35,
        "tau_loss_low": 0.2,
        "tau_loss_high": 0.5,
        "tau_parameters": 0.5,
        "ranked": 40,
        "protocol": "0123456789ab",
        "search_seconds": 30.0,
        "ranking_seconds": 2.0,
        "seconds": 33.0,
        **more,
    }


def failed(
    status: str = "diverged", error: str = "training loss is nan in epoch 2"
) -> dict[str, Any]:
    """Return what a failed run stores."""
    return {"status": status, "error": error, "seconds": 5.0}


def history(epochs: int, seed: int) -> list[dict[str, Any]]:
    """Return records of so many epochs."""
    rng = np.random.default_rng(seed)
    return [
        {
            "epoch": epoch,
            "train_loss": 2.0 / epoch,
            "valid_accuracy": 50.0 + epoch + rng.normal(),
            "skip_count": float(min(6, epoch // 2)),
            "true_accuracy": 92.0 - epoch,
            "alpha": (rng.normal(size=(6, 5)) * 0.01 * epoch).tolist(),
        }
        | {f"p_{name}": 0.2 + 0.01 * i * epoch for i, name in enumerate(OPERATIONS)}
        for epoch in range(1, epochs + 1)
    ]


def ranking(seed: int, cells: int = 40) -> pd.DataFrame:
    """Return scores that follow the truth somewhat."""
    truth = np.random.default_rng(0).uniform(60, 94, cells)
    noise = np.random.default_rng(seed + 1).normal(size=cells) * 10
    return pd.DataFrame(
        {
            "arch": [f"cell {i}" for i in range(cells)],
            "accuracy": truth / 3 + noise,
            "loss": 3 - truth / 50,
            "truth": truth,
            "parameters": truth,
        }
    )


def folder(
    root: Path,
    outcomes: Mapping[str, Sequence[dict[str, Any] | None]],
    *,
    question: str = "Does it help?",
    metric: str = "skip_count",
    of: str = "new",
    against: str = "old",
    expect: str = "lower",
    epochs: int = 4,
    rankings: bool = True,
    **manifest: Any,
) -> Path:
    """Write an output folder: label → outcome per seed; None is a run that left no result."""
    names = []
    for label, results in outcomes.items():
        for seed, outcome in enumerate(results):
            name = f"{label}-seed{seed}-{'0' * 16}"
            names.append(name)
            run = root / name
            run.mkdir(parents=True)
            store.write_json(run / store.SPEC, {})
            if outcome is None:
                store.write_json(run / store.PROGRESS, {"status": "running", "epoch": 3})
                continue
            result = {
                "label": label,
                "seed": seed,
                "digest": "0" * 16,
                "stopped": None,
                "history": history(epochs, seed),
                "provenance": {
                    "bench": "0.1.0",
                    "commit": "abc",
                    "python": "3.11",
                    "torch": "2.10",
                    "numpy": "2.0",
                    "device": "cpu",
                    "threads": 1,
                },
                **outcome,
            }
            store.write_json(run / store.RESULT, store.seal(result))
            if rankings and outcome["status"] == "ok":
                ranking(seed).to_parquet(run / store.RANKING)
    store.write_json(
        root / "ablation.json",
        {
            "name": root.name,
            "question": question,
            "profile": "test",
            "seeds": [0],
            "contrast": {"metric": metric, "of": of, "against": against, "expect": expect},
            "command": "python -m bench run ablations/it.yaml",
            "arms": [
                {"label": label, "variants": [], "settings": {"space": {"name": "nb201"}}}
                for label in outcomes
            ],
            "runs": names,
            **manifest,
        },
    )
    return root
