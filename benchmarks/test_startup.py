"""What it takes until `bench --help` is on the screen."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.ratios import keep

LIMIT = 0.3
"""Seconds on a machine that does nothing else; CPU seconds are held to it."""


def seconds(*arguments: str) -> tuple[float, float]:
    """Return wall and CPU seconds of a Python process."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help(benchmark):
    ours, naive = [], []

    def both():
        naive.append(seconds("-c", "import torch"))
        ours.append(seconds("-m", "bench", "--help"))

    both()
    benchmark.pedantic(both, rounds=5)
    cpu = min(cpu for _, cpu in ours)
    keep(benchmark, "seconds of CPU until --help", cpu)
    keep(benchmark, "seconds until --help (best)", min(wall for wall, _ in ours))
    median = statistics.median
    keep(
        benchmark,
        "of the time that `import torch` takes",
        median(c for _, c in ours) / median(c for _, c in naive),
    )
    assert cpu < LIMIT
