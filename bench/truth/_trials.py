"""From the stored state of a cell to its trials: every field that is used has its type checked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from bench.contracts.truth import TruthError
from bench.truth._plain import Mapping, shown

SETS = {
    "cifar10-valid": {"valid": "x-valid", "test": "ori-test"},
    "cifar10": {"test": "ori-test"},
    "cifar100": {"valid": "x-valid", "test": "x-test"},
    "ImageNet16-120": {"valid": "x-valid", "test": "x-test"},
}
"""Data set → split → the benchmark's name of the images; ``cifar10`` trains on all of them."""

FIELDS = {"arch_index", "arch_str", "all_results", "dataset_seed", "clear_net_done"}
"""Of the benchmark's `ArchResults`, in every release."""

Row = dict[str, Any]


def trials(state: Any, index: int, name: str | None, budget: int) -> Iterator[Row]:
    """Yield every trial of one cell and schedule.

    Parameters
    ----------
    state
        What the benchmark's `ArchResults.state_dict` gave: ``arch_index``, ``arch_str``,
        ``dataset_seed`` and ``all_results``, a `ResultsCount.state_dict` per data set and seed.
    index, name
        Where it was filed; ``name`` is None where the file does not list its cells.
    budget
        Training epochs of the schedule.

    Raises
    ------
    TruthError
        When anything is not what the benchmark's authors write; without the file and the cell.
    """
    state = _dict(state, "its results")
    for field in state:
        if type(field) is not str or field not in FIELDS:
            raise TruthError(f"unknown field {shown(field)}")
    if state.get("arch_index", index) != index or type(state.get("arch_index", index)) is not int:
        raise TruthError(f"results of cell {shown(state['arch_index'])}")
    said = state.get("arch_str")
    if type(said) is not str or (name is not None and said != name):
        raise TruthError(
            f"results of {shown(said)}" + (f" where {shown(name)} was expected" if name else "")
        )
    results = _dict(state.get("all_results"), "all_results")
    listed = _listed(state)
    for key in results:
        if key not in listed:
            raise TruthError("all_results and dataset_seed do not list the same trials")
    for dataset in dict.fromkeys(dataset for dataset, _ in listed):
        of_seed = {
            seed: _dict(results.get((dataset, seed)), f"{dataset} seed {seed}")
            for other, seed in listed
            if other == dataset
        }
        costs = {field: _costs(of_seed, field, dataset) for field in ("params", "flop")}
        for seed, result in of_seed.items():
            try:
                yield {
                    "arch": said,
                    **_row(result, dataset, seed, budget),
                    "parameters": costs["params"][seed],
                    "flops": costs["flop"][seed],
                }
            except TruthError as error:
                raise TruthError(f"{dataset} seed {seed}, {budget} epochs: {error}") from None


def compact(result: dict[Any, Any]) -> None:
    """Let go of all that is not imported of a trial; leave alone what is none, or is not right.

    Nothing that is shared is changed: what stays is put into new dictionaries.
    """
    epochs = result.get("epochs")
    if "train_acc1es" not in result or type(epochs) is not int or not 1 <= epochs <= 10_000:
        return
    last = epochs - 1
    ends = [last, *(f"{images}@{last}" for images in ("x-valid", "x-test", "ori-test"))]
    for field in ("train_acc1es", "train_losses", "eval_acc1es", "eval_losses"):
        curve = result.get(field)
        if type(curve) is dict or type(curve) is Mapping:
            result[field] = {end: curve[end] for end in ends if end in curve}
    times = result.get("train_times")
    if type(times) is dict or type(times) is Mapping:
        values = list(times.values())
        if values and all(type(value) is float and not value < 0 for value in values):
            result["train_times"] = {last: sum(values)}
    for field in ("train_acc5es", "eval_times", "arch_config", "latency", "net_state_dict"):
        result[field] = None


def _listed(state: Row) -> list[tuple[str, int]]:
    """Return the trials that ``dataset_seed`` names."""
    found = []
    for dataset, seeds in _dict(state.get("dataset_seed"), "dataset_seed").items():
        if type(dataset) is not str or dataset not in SETS:
            raise TruthError(f"unknown data set {shown(dataset)}")
        if type(seeds) is not list or not all(type(s) is int and 0 <= s < 1 << 63 for s in seeds):
            raise TruthError(f"{dataset}: its training seeds are no list of integers")
        if len(set(seeds)) != len(seeds):
            raise TruthError(f"{dataset}: a training seed occurs twice")
        found += [(dataset, seed) for seed in seeds]
    return found


def _row(result: Row, dataset: str, seed: int, budget: int) -> Row:
    if result.get("name", dataset) != dataset:
        raise TruthError(f"results on {shown(result['name'])} filed under it")
    _check_seed(result.get("seed"), seed)
    epochs = result.get("epochs")
    if type(epochs) is not int or epochs != budget:
        raise TruthError(f"epochs is {shown(epochs)}")
    last = budget - 1
    row: Row = {
        "dataset": dataset,
        "budget": budget,
        "seed": seed,
        "train_accuracy": _percent(result, "train_acc1es", last),
        "train_loss": _of_epoch(result, "train_losses", last),
        "train_seconds": _seconds(result),
    }
    for split, images in SETS[dataset].items():
        key = f"{images}@{last}"
        row[f"{split}_accuracy"] = _percent(result, "eval_acc1es", key)
        row[f"{split}_loss"] = _of_epoch(result, "eval_losses", key)
    return row


def _check_seed(said: Any, filed: int) -> None:
    # The authors cut it out of a file's name, arch-000000-seed-0777.pth: mostly a string.
    digits = type(said) is str and re.fullmatch(r"[0-9]{1,19}", said)
    if not (digits and int(said) == filed) and not (type(said) is int and said == filed):
        raise TruthError(f"seed {shown(said)} filed under {filed}")


def _of_epoch(result: Row, field: str, key: Any) -> float | None:
    # An epoch that was not evaluated is missing; one epoch earlier would be another quantity.
    curve = result.get(field)
    if type(curve) is not dict and type(curve) is not Mapping:
        raise TruthError(f"{field}: no epochs in {shown(curve)}")
    return number(curve[key], field) if key in curve else None


def _percent(result: Row, field: str, key: Any) -> float | None:
    found = _of_epoch(result, field, key)
    if found is not None and not 0 <= found <= 100:
        raise TruthError(f"{field} is {found:g}, not a percentage in 0..100")
    return found


def _seconds(result: Row) -> float | None:
    """Return the training time; the first files have none."""
    times = result.get("train_times")
    if times is None:
        return None
    values = [amount(value, "train_times") for value in _dict(times, "train_times").values()]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def number(value: Any, field: str) -> float | None:
    """Return a number that was stored; None where it is not finite or none was stored.

    Raises
    ------
    TruthError
        When it is anything but a number.
    """
    if value is None:
        return None
    if type(value) not in (int, float) or (type(value) is int and value.bit_length() > 64):
        raise TruthError(f"{field}: not a number: {shown(value)}")
    return float(value) if math.isfinite(value) else None


def amount(value: Any, field: str) -> float | None:
    """Return a number as `number` does; raises TruthError also where it is below zero."""
    found = number(value, field)
    if found is not None and found < 0:
        raise TruthError(f"{field} is {found:g}, below zero")
    return found


def _costs(of_seed: dict[int, Row], field: str, dataset: str) -> dict[int, float | None]:
    """Return parameters or FLOPs (millions) per seed.

    Some files carry wrong costs for some seeds, left by a migration of weights; NATS-Bench's own
    repair is to believe seed 888 where the seeds disagree.
    """
    costs = {
        seed: amount(result.get(field), f"{dataset} seed {seed}: {field}")
        for seed, result in of_seed.items()
    }
    if len({f"{cost:.5f}" for cost in costs.values() if cost is not None}) > 1 and 888 in costs:
        return dict.fromkeys(costs, costs[888])
    return costs


def _dict(value: Any, what: str) -> dict[Any, Any]:
    if type(value) is not dict and type(value) is not Mapping:
        raise TruthError(f"{what}: {shown(value)} where a dict was expected")
    return value
