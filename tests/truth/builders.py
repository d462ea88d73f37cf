"""Truth files for the tests: made-up tables; official files made with the packages' classes."""

from __future__ import annotations

import bz2
import collections
import functools
import hashlib
import math
import pickle
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bench.spaces.nb201 import cells

REAL = Path("../shared/nb201/nasbench201.csv.gz")
ANALOG_OPERATIONS = {1: 0, 0: 1, 3: 2, 2: 3, 4: 4}
"""Benchmark's operation → analog-nasbench's, written out by hand on purpose."""


def quality(cell: cells.Cell, seed: int = 0) -> float:
    """A made-up accuracy: isomorphic cells differ by noise only, disconnected ones have 10."""
    if not cells.connected(cell):
        return 10.0
    name = cells.canonical(cell)
    convolutions = 9 * name.count("nor_conv_3x3") + name.count("nor_conv_1x1")
    structure = zlib.crc32(name.encode()) / 2**32
    noise = zlib.crc32(f"{cell}{seed}".encode()) / 2**32 - 0.5
    return round(50 + 40 * (1 - math.exp(-convolutions / 12)) + 4 * structure + noise, 4)


@functools.cache
def everything() -> dict[str, float]:
    """All 15,625 cells with their made-up accuracy."""
    return {cells.encode(cell): quality(cell) for cell in cells.architectures()}


def csv_text(columns: dict[str, list[Any]]) -> str:
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def some_cells(n: int) -> list[str]:
    """Spread over the space, all different, none disconnected."""
    connected = [cell for cell in cells.unique() if cells.connected(cell)]
    return [cells.encode(connected[i]) for i in np.linspace(0, len(connected) - 1, n).astype(int)]


def analog_pickle(table: dict[str, float]) -> bytes:
    """Bytes of a ``data.anb`` with the real file's module and class names."""
    module = types.ModuleType("analognasbench.data")
    classes = {}
    for name in ("Architecture", "DriftMeasurement"):
        classes[name] = type(name, (), {"__module__": module.__name__})
        setattr(module, name, classes[name])
    data = {}
    for text, accuracy in table.items():
        edges = dict(zip(cells.EDGES, cells.decode(text), strict=True))
        order = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        key = tuple(ANALOG_OPERATIONS[edges[edge]] for edge in order)
        entry = classes["Architecture"]()
        drift = classes["DriftMeasurement"]()
        vars(drift).update(value=10.0, uncertainty=0.0)
        vars(entry).update(architecture=key, baseline_accuracy=accuracy, baseline_drift_60=drift)
        data[key] = entry
    import sys

    # pickle insists on finding the classes where they say they live.
    sys.modules["analognasbench"] = types.ModuleType("analognasbench")
    sys.modules[module.__name__] = module
    try:
        return pickle.dumps(data, protocol=4)
    finally:
        del sys.modules[module.__name__], sys.modules["analognasbench"]


SEEDS = {
    ("cifar10-valid", 12): (111, 777),
    ("cifar10", 12): (777,),
    ("cifar100", 12): (777,),
    ("ImageNet16-120", 12): (777,),
    ("cifar10-valid", 200): (777, 888, 999),
    ("cifar10", 200): (777, 888, 999),
    ("cifar100", 200): (777, 888, 999),
    ("ImageNet16-120", 200): (777, 888, 999),
}
IMAGES = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
LACKING = {(2, "cifar10", 200, 888), (2, "cifar10", 200, 999), (5, "cifar100", 200, 999)}
"""Trials (cell, data set, budget, seed) that the fixture lacks, as some real cells do."""


def _result(
    package: Any, index: int, name: str, dataset: str, budget: int, seed: int, old: bool
) -> Any:
    rng = np.random.default_rng([index, budget, seed, zlib.crc32(dataset.encode())])
    base = quality(cells.decode(name), seed)

    def curve(final: float) -> dict[int, float]:
        return {i: float(final - (budget - 1 - i) * 0.01) for i in range(budget)}

    result = package.ResultsCount(
        dataset,
        None,
        curve(base + 1),
        curve(0.5),
        np.float64(1.5 + index / 7),  # numpy's, as the authors counted them
        100.25 + index,
        {"channel": 16, "num_cells": 5, "arch_str": name, "class_num": 10},
        f"{seed:04d}",  # cut out of a file's name: a string
        budget,
        None,
    )
    ends = {images: float(base + rng.normal(0, 0.1)) for images in IMAGES[dataset]}
    if old and budget == 200:  # the first trials: no times, most images at the end only
        always = {"cifar10-valid": "x-valid"}.get(dataset, "ori-test")
        for images, end in ends.items():
            losses = {i: float(1 + rng.random()) for i in range(budget)}
            accuracies = curve(end)
            if images != always:
                accuracies, losses = ({budget - 1: c[budget - 1]} for c in (accuracies, losses))
            result.update_OLD_eval(images, accuracies, losses)
    else:
        seconds = collections.OrderedDict(dict.fromkeys(range(budget), 2.5))
        result.update_train_info(curve(base + 1), curve(99.0), curve(0.5), seconds)
        accuracies, losses, times = {}, {}, {}
        for images, end in ends.items():
            for i in range(budget):
                accuracies[f"{images}@{i}"] = float(end - (budget - 1 - i) * 0.01)
                losses[f"{images}@{i}"] = float(1 + rng.random())
                times[f"{images}@{i}"] = 0.5
        result.update_eval(accuracies, losses, times)
    result.update_latency([np.float64(0.0161)])
    return result


def trials(n: int) -> int:
    """How many trials the fixture of ``n`` cells has."""
    return n * sum(map(len, SEEDS.values())) - sum(lacking[0] < n for lacking in LACKING)


def official(
    package: Any, n: int, keys: tuple[str, str], *, old: bool = False, weights: Any = None
) -> dict[str, Any]:
    """The dictionary inside an official file, built as the authors' scripts build it.

    ``keys`` name the schedules of 12 and 200 epochs; ``old`` gives NAS-Bench-201 v1_0, which has
    no times and 12 epochs on cifar10-valid alone; ``weights`` are left in (``-FULL`` files).
    """
    names = some_cells(n)
    infos: dict[int, dict[str, Any]] = {}
    for index, name in enumerate(names):
        states = {}
        for budget, key in zip((12, 200), keys, strict=True):
            results = package.ArchResults(f"{index:06d}", name)
            for (dataset, epochs), seeds in SEEDS.items():
                for seed in seeds if epochs == budget else ():
                    if (index, dataset, budget, seed) in LACKING:
                        continue
                    if not (old and budget == 12 and dataset != "cifar10-valid"):
                        trial = _result(package, index, name, dataset, budget, seed, old)
                        trial.net_state_dict = weights
                        results.update(dataset, seed, trial)
            if weights is None:
                results.clear_params()
            states[key] = results.state_dict()
        infos[index] = dict(states) if old else collections.OrderedDict(reversed(states.items()))
    evaluated: Any = sorted(infos) if old else set(infos)
    return {
        "meta_archs": names,
        "total_archs": n,
        "arch2infos": infos,
        "evaluated_indexes": evaluated,
    }


def signed(path: Path, release: str, ending: str) -> Path:
    """Rename a file as its authors do: with the last digits of its md5."""
    digits = hashlib.md5(path.read_bytes()).hexdigest()[-6 if ending == ".pth" else -5 :]
    return path.rename(path.with_name(f"{release}-{digits}{ending}"))


def write_pbz2(path: Path, content: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content)))
    return path


def surrogate_folder(path: Path) -> Path:
    """Make a folder that looks like one of NAS-Bench-301's ensembles of three."""
    for i in range(3):
        member = path / f"ensemble_member_{i}"
        member.mkdir()
        (member / "surrogate_model.model").write_bytes(b"%d" % i)
    return path


def install_surrogate(monkeypatch: Any) -> tuple[Any, list[Any]]:
    """Put a package of nasbench301's shape in place: members predict 90 + skips + their number.

    Returns the module and the configurations that it will have been asked for.
    """
    asked: list[Any] = []

    class Model:
        def query_members(self, config: dict[str, Any]) -> list[float]:
            assert config["layers"] == 8
            asked.append(config)
            return [90.0 + config["skips"] + member for member in (0, 1, 2)]

    class Api:
        model = Model()

        def convert_representation(self, genotype: Any, representation: str) -> dict[str, Any]:
            assert representation == "genotype" and list(genotype.normal_concat) == [2, 3, 4, 5]
            return {"skips": sum(name == "skip_connect" for name, _ in genotype.normal)}

    module: Any = types.ModuleType("nasbench301")
    api: Any = types.ModuleType("nasbench301.api")
    module.load_ensemble = lambda path: Api()
    module.__spec__ = types.SimpleNamespace(name="nasbench301")
    api.fixed_hyperparameters = {"layers": 8}
    monkeypatch.setitem(sys.modules, "nasbench301", module)
    monkeypatch.setitem(sys.modules, "nasbench301.api", api)
    return module, asked
