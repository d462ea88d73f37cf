"""What running many runs costs: throughput of two processes, overhead per run, listing.

``python -m pytest benchmarks/test_executors.py -s`` on a machine that does nothing else (4 minutes).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import fmean

import pytest

from bench.ablation.file import read_ablation
from bench.devices import cores
from bench.executors.processes import Processes
from bench.runs import store
from bench.runs.campaign import Campaign
from bench.runs.spec import plan
from benchmarks.ratios import keep

ROOT = Path(__file__).parents[1]


def specs(seeds: int, *sets: str):
    """Return small runs of equal length."""
    profile = str(ROOT / "ablations/profiles/smoke.yaml")
    ablation = read_ablation(ROOT / "ablations/skip_dropout.yaml", profile, list(sets), str(seeds))
    return plan(ablation, ["darts"])


def campaign(root: Path, runs, pool: Processes) -> tuple[float, float]:
    """Run a campaign; return its seconds, and the mean seconds that a run says it took."""
    warm = Campaign(root / "warm", runs[:1])
    warm.run(Processes(jobs=1), interval=0.2)  # the server has imported torch when the clock starts
    began = time.perf_counter()
    found = Campaign(root / "runs", runs)
    found.run(pool, interval=0.2)
    wall = time.perf_counter() - began
    assert set(found.ended.values()) == {"ok"}
    results = [store.read_result(found.folder(run)) for run in runs]
    return wall, fmean(result["seconds"] for result in results if result)


@pytest.fixture(scope="module")
def quiet() -> bool:
    """Say whether nothing else wants a core, before the first of these adds to the load itself."""
    load = os.getloadavg()[0]
    print(f"\nload before: {load:.1f}")
    return load < 0.5


def test_overhead_per_run(benchmark, quiet: bool, tmp_path: Path) -> None:
    """Wall time beyond what the runs themselves took, per run, one after the other."""
    wall, mean = campaign(tmp_path, specs(20), Processes(jobs=1))
    overhead = wall / 20 - mean
    keep(benchmark, "seconds a run beyond its own", overhead)
    print(f"a run takes {mean:.2f} s")
    if quiet:
        assert overhead < 0.2


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_two_processes_against_one(benchmark, quiet: bool, tmp_path: Path) -> None:
    """Runs per hour with two processes on two cores over those with one, alternating."""
    runs, rates = specs(8, "search.epochs=10"), {1: [], 2: []}
    for attempt in range(2):
        for jobs in (1, 2):
            wall, _ = campaign(tmp_path / f"{jobs}-{attempt}", runs, Processes(jobs=jobs))
            rates[jobs].append(len(runs) / wall * 3600)
    one, two = max(rates[1]), max(rates[2])
    keep(benchmark, "times one process's runs an hour, with two", two / one)
    print(f"runs an hour: {one:.0f} and {two:.0f} on {cores()} cores")
    if quiet:
        assert two / one >= 1.8
