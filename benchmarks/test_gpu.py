"""A GPU: the search step with and without compiled graphs, and several runs on one device at once.

``python -m pytest benchmarks/test_gpu.py -s``, where there is CUDA; **no figure of it is known yet**.
The step is the loop's own, both updates with optimisers, on the wall clock, the kernels in turn.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import pytest
import torch

from bench.contracts.data import Halves, Images
from bench.executors.processes import Processes
from bench.search.loop import architecture_step, weight_step
from bench.search.settings import Settings
from bench.search.setup import build, initial_state
from benchmarks.ratios import keep
from benchmarks.test_executors import campaign, specs

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NOT MEASURED: there is no CUDA device here"
)
SIZES = [(8, 1, 16), (16, 5, 32)]
"""C, N, resolution."""


def name_card(benchmark) -> None:
    benchmark.extra_info["card"] = torch.cuda.get_device_name()


def step(kernel: str, precision: str, size: tuple[int, int, int], device="cuda") -> Callable:
    """Return a call that takes a bilevel step on batches of 64 and waits for the device."""
    channels, cells, resolution = size
    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": channels, "cells": cells},
            "data": "digits",
            "device": device,
            "instruments": [],
            "ranking": None,
            "kernel": kernel,
            "search": {"precision": precision},
        }
    )
    pixels = torch.randint(256, (128, 3, resolution, resolution), dtype=torch.uint8)
    images = Images(pixels, torch.randint(10, (128,)), 10, (0.5,) * 3, (0.25,) * 3, 4, True)
    setup = build(settings, [], seed=0)
    object.__setattr__(setup, "data", Halves(images, images).to(setup.device))
    state = initial_state(setup)

    def both() -> None:
        for update in (weight_step, architecture_step):
            with state.supernet.step():
                update(setup, state)
        state.step += 1
        if device == "cuda":
            torch.cuda.synchronize()

    return both


def milliseconds(calls: dict[str, Callable], warm: int, rounds: int) -> dict[str, float]:
    """Return the median of each call; rounds alternate."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():  # compiles, captures; one after the other
        for _ in range(warm):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


@pytest.fixture
def as_a_run():
    """Hold torch to what runs hold it to by default."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_step(benchmark, as_a_run, size, precision):
    name_card(benchmark)
    calls = {kernel: step(kernel, precision, size) for kernel in ("torch", "inductor")}
    found = benchmark.pedantic(lambda: milliseconds(calls, warm=5, rounds=30), rounds=1)
    for kernel, value in found.items():
        keep(benchmark, f"ms a step, {kernel}", value)
    keep(benchmark, "times PyTorch's speed", found["torch"] / found["inductor"])


def test_runs_that_share_a_device(benchmark, tmp_path):
    """Runs per hour with one, two and four runs on a device, by `processes.slots_per_gpu`."""
    name_card(benchmark)
    runs = specs(
        8, "device=cuda", "space.channels=16", "space.cells=5", "data.size=1024", "search.epochs=10"
    )
    rates: dict[int, float] = {}

    def measure() -> None:
        for slots in (1, 2, 4):
            pool = Processes(gpus=("0",), slots_per_gpu=slots)
            wall, _ = campaign(tmp_path / str(slots), runs, pool)
            rates[slots] = len(runs) / wall * 3600

    benchmark.pedantic(measure, rounds=1)
    for slots, rate in rates.items():
        keep(benchmark, f"runs an hour, {slots} at once", rate)
    keep(benchmark, "times the runs of one at a time", max(rates.values()) / rates[1])
