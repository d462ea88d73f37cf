"""How a benchmark compares two ways of doing one thing: in turn, in one process, as a ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def alternate(
    benchmark: Any, own: Callable[[], object], naive: Callable[[], object], rounds: int, what: str
) -> float:
    """Time both in turn and return by what factor ours is faster; kept under ``what``.

    CPU seconds of one thread, so that other processes disturb little, and the ratio of medians,
    so that what they do disturb is disturbed alike. Both run once before the clock starts.
    """
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"own": [], "naive": []}

    def timed(name: str, call: Callable[[], object]) -> None:
        start = time.process_time()
        call()
        times[name].append(time.process_time() - start)

    for call in (naive, own):
        call()
    # The oracle runs in the setup of every round: both see the same machine.
    benchmark.pedantic(
        lambda: timed("own", own), setup=lambda: timed("naive", naive), rounds=rounds
    )
    ratio = statistics.median(times["naive"]) / statistics.median(times["own"])
    keep(benchmark, what, ratio)
    return ratio


def keep(benchmark: Any, what: str, value: float) -> None:
    """Put a number into the benchmark's record, and so into the table, and print it.

    pytest-benchmark records no test that timed nothing; where this comes first, nothing is timed.
    """
    if benchmark.stats is None:
        benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info[what] = round(value, 3)
    print(f"\n{what}: {value:.3g}")
