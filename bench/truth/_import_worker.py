"""The process that reads an official file: ``python -m bench.truth._import_worker IN OUT NAME``."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.contracts.truth import TruthError
from bench.truth import _long as long
from bench.truth import _official_files as files
from bench.truth._official import api
from bench.truth._unpickle import one_line

SETS = {
    "cifar10-valid": {"valid": "x-valid", "test": "ori-test"},
    "cifar10": {"test": "ori-test"},
    "cifar100": {"valid": "x-valid", "test": "x-test"},
    "ImageNet16-120": {"valid": "x-valid", "test": "x-test"},
}
"""Data set → split → the benchmark's name of the images; ``cifar10`` trains on all of them."""

Trials = dict[str, list[Any]]


def convert(path: Path, out: Path, source: str) -> dict[str, Any]:
    """Read an official file and write the long table; see `_official.import_official`."""
    if files.kind(path, source) == "torch":
        package, version = api("nas-bench-201", "nas_201_api", "NAS_BENCH_201_API_VERSION")
        benchmark = "NAS-Bench-201"
    else:
        package, version = api("nats-bench", "nats_bench", "NATS_BENCH_API_VERSIONs")
        benchmark = "NATS-Bench topology"
    digest = files.digest(path)
    names, blocks = files.blocks(path, source)
    trials: Trials = {name: [] for name in (*long.KEY, *long.NUMBERS)}
    for index, sets in blocks:
        if not 0 <= index < len(names):
            raise TruthError(f"{source}: results of cell {index}, but only {len(names)} cells")
        for state in sets.values():
            try:
                results = package.ArchResults.create_from_state_dict(state)
                append(trials, names[index], results)
            except TruthError as error:
                raise TruthError(f"{source}: cell {index}: {error}") from None
            except Exception as error:  # a state of another shape fails anywhere in the package
                reason = one_line(error, 120)
                raise TruthError(f"{source}: cell {index}: unexpected results: {reason}") from None
    long.write(
        out,
        trials,
        {
            "source": Path(source).name,
            "sha256": digest,
            "api": version,
            "provenance": f"{benchmark}, {Path(source).name} (sha256 {digest[:12]}) "
            f"read through {version}, every training seed on its own",
        },
    )
    return {"sha256": digest, "api": version, **coverage(trials)}


def append(trials: Trials, name: str, results: Any) -> None:
    """Append every trial of one cell and schedule (an `ArchResults` of either package)."""
    if results.arch_str != name:
        raise TruthError(f"results of {results.arch_str!r:.120} where {name!r:.120} was expected")
    for dataset in results.get_dataset_names():
        if dataset not in SETS:
            raise TruthError(f"unknown data set {dataset!r:.40}")
        # Straight from the trials: get_metrics would draw one at random or average them.
        of_seed = results.query(dataset)
        costs = {quantity: _costs(of_seed, quantity) for quantity in ("params", "flop")}
        for seed, result in of_seed.items():
            if type(seed) is not int or result.seed != seed:
                raise TruthError(f"{dataset}: seed {result.seed!r:.20} filed under {seed!r:.20}")
            last = int(result.get_total_epoch()) - 1
            row: dict[str, Any] = {
                "arch": name,
                "dataset": dataset,
                "budget": last + 1,
                "seed": seed,
                "train_accuracy": _number(result.train_acc1es, last),
                "train_loss": _number(result.train_losses, last),
                "parameters": costs["params"][seed],
                "flops": costs["flop"][seed],
                "train_seconds": _finite(result.get_times()["T-train@total"]),
            }
            for split, images in SETS[dataset].items():
                key = f"{images}@{last}"
                row[f"{split}_accuracy"] = _number(result.eval_acc1es, key)
                row[f"{split}_loss"] = _number(result.eval_losses, key)
            for column, values in trials.items():
                values.append(row.get(column))


def _number(curve: Any, key: Any) -> float | None:
    # An epoch that was not evaluated is missing; one epoch earlier would be another quantity.
    if not isinstance(curve, dict):
        raise TruthError(f"no epochs in {type(curve).__name__}")
    return _finite(curve[key]) if key in curve else None


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    plain = isinstance(value, (int, float)) or hasattr(value, "item")  # 0-d tensors too
    if isinstance(value, bool) or not plain:
        raise TruthError(f"not a number: {value!r:.40}")
    return number if math.isfinite(number := float(value)) else None


def _costs(of_seed: dict[Any, Any], quantity: str) -> dict[Any, float | None]:
    """Return parameters or FLOPs (millions) per seed.

    Some files carry wrong costs for some seeds, left by a migration of weights; NATS-Bench's own
    repair is to believe seed 888 where the seeds disagree.
    """
    costs = {seed: _finite(getattr(result, quantity)) for seed, result in of_seed.items()}
    if len({f"{cost:.5f}" for cost in costs.values() if cost is not None}) > 1 and 888 in costs:
        return dict.fromkeys(costs, costs[888])
    return costs


def coverage(trials: Trials) -> dict[str, Any]:
    """Count trials and cells per data set and budget, and cells by their number of seeds."""
    keys = zip(trials["dataset"], trials["budget"], trials["arch"], strict=True)
    seeds = Counter(keys)
    measured: dict[str, dict[str, Any]] = {}
    for (dataset, budget, _), count in seeds.items():
        entry = measured.setdefault(
            f"{dataset} {budget}", {"trials": 0, "cells": 0, "cells_by_seeds": {}}
        )
        entry["trials"] += count
        entry["cells"] += 1
        entry["cells_by_seeds"][count] = entry["cells_by_seeds"].get(count, 0) + 1
    return {
        "cells": len(set(trials["arch"])),
        "trials": len(trials["arch"]),
        "measured": dict(sorted(measured.items())),
    }


def main(path: str, out: str, source: str) -> int:
    """Convert, and answer with one line of JSON: the summary, or ``error``."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the benchmark's packages print
            answer = convert(Path(path), Path(out), source)
    except TruthError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"{source}: not enough memory to read it"}
    print(json.dumps(answer))
    return 2 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
