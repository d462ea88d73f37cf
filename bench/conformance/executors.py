"""What every executor promises, on two runs of a second."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.conformance import Check, expect
from bench.conformance._small import BASE
from bench.contracts.executor import Executor, Job, Outcome
from bench.runs import store
from bench.runs.spec import RunSpec
from bench.search.settings import Settings

LONGEST = 120.0
"""Seconds that two small runs may take, queue included."""


def runs(executor: Executor) -> None:
    """Submitted runs end, each once, with a result in their folders."""
    executor = executor.model_copy(deep=True)
    with tempfile.TemporaryDirectory() as place:
        jobs = []
        for seed in range(2):
            settings = Settings.model_validate(BASE)
            spec = RunSpec(
                ablation="check", label="darts", seed=seed, variants=(), settings=settings
            )
            jobs.append(Job(spec=spec, folder=Path(place) / spec.folder))
            store.write_spec(jobs[-1].folder, spec)
        executor.submit(jobs)
        expect(executor.active == 2, f"two were submitted and {executor.active} are active")
        ended: list[tuple[Path, Outcome]] = []
        until = time.monotonic() + LONGEST
        while executor.active and time.monotonic() < until:
            ended += executor.poll().items()
            executor.wait(0.1)
        expect(not executor.active, f"two small runs have not ended after {LONGEST:.0f} s")
        expect(sorted(f for f, _ in ended) == sorted(j.folder for j in jobs), "not each once")
        for folder, outcome in ended:
            expect(outcome is Outcome.OK and store.done(folder), f"{folder.name}: {outcome}")


def forgets(executor: Executor) -> None:
    """What waits is forgotten when it is asked to stop."""
    executor = executor.model_copy(deep=True)
    executor.cancel()
    expect(executor.active == 0, "asked to stop, it still has something to do")


CHECKS: dict[str, Check] = {
    "runs what it is given, each once": runs,
    "stops when it is asked to": forgets,
}
