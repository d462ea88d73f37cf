"""Ranking: many cells of one supernet together against each on its own, in one run.

``pytest benchmarks/test_ranking.py``. The naive evaluation builds the discretised network of every
cell, lets it inherit the weights and evaluates it, as textbook code does. Peak memory is that of the
process above what it held before, for 50 and for 400 cells.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from pathlib import Path

import pytest
import torch

from bench.contracts import registry
from benchmarks.ratios import keep

SIZES = [(8, 1, 16, 400, 2.5), (16, 5, 32, 8, 1.0)]
"""C, N, resolution, cells, least ratio by PyTorch alone."""
KERNEL = 1.2
"""By what factor the least ratio is larger with the kernel."""


def naive(space, supernet, images, cells):
    """Evaluate every cell as a network of its own."""
    for cell in cells:
        network = space.network(cell, 3, 10, seed=0)
        network.inherit(supernet)
        network(images)


@pytest.mark.parametrize("form", ["compiled", "torch"])
@pytest.mark.parametrize(("channels", "stage", "resolution", "count", "least"), SIZES)
def test_cells_per_second(benchmark, channels, stage, resolution, count, least, form):
    torch.set_num_threads(1)
    space = registry.parse("spaces", {"name": "nb201", "channels": channels, "cells": stage})
    supernet = space.supernet(3, 10, seed=0)
    supernet.compiled = form == "compiled"
    if supernet.compiled and not supernet.prepare_kernel():
        pytest.skip("needs a C++ compiler")
    cells = random.Random(0).sample(list(space.architectures()), count)
    images = torch.randn(
        256 if stage == 1 else 64,
        3,
        resolution,
        resolution,
        generator=torch.Generator().manual_seed(0),
    )
    times: dict[str, list[float]] = {"fast": [], "naive": []}
    few = cells[:: max(1, count // 50)]

    def timed(name, call, number):
        with torch.no_grad():
            start = time.process_time()
            call()
            times[name].append((time.process_time() - start) / number)

    benchmark.pedantic(
        lambda: timed("fast", lambda: list(supernet.paths(images, cells)), count),
        setup=lambda: timed("naive", lambda: naive(space, supernet, images, few), len(few)),
        rounds=3,
    )
    ratio = statistics.median(times["naive"]) / statistics.median(times["fast"])
    rate = 1 / statistics.median(times["fast"])
    keep(benchmark, "times the naive cells per second", ratio)
    print(f"{rate:.1f} cells a second")
    assert ratio >= (least * KERNEL if supernet.compiled else least)


def resident() -> int:
    """Return the process's resident memory in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def peak_of(call) -> int:
    """Return the most resident memory above the present during a call, sampled every 5 ms."""
    before, most, stop = resident(), 0, threading.Event()

    def watch():
        nonlocal most
        while not stop.wait(0.005):
            most = max(most, resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    stop.set()
    watcher.join()
    return most


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_peak_memory_does_not_grow_with_the_cells(benchmark):
    torch.set_num_threads(1)
    space = registry.parse("spaces", {"name": "nb201", "channels": 8, "cells": 1})
    supernet = space.supernet(3, 10, seed=0)
    cells = random.Random(0).sample(list(space.architectures()), 400)
    images = torch.randn(1000, 3, 16, 16)

    def run(number):
        with torch.no_grad():
            for _ in supernet.paths(images, cells[:number]):
                pass

    run(50)
    small, large = peak_of(lambda: run(50)), peak_of(lambda: run(400))
    keep(benchmark, "MB above the start for 50 cells", small / 1e6)
    keep(benchmark, "MB above the start for 400 cells", large / 1e6)
    assert large < 1.5 * small + 50e6
