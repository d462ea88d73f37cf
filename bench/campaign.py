"""All runs of an ablation: what is done is kept, the rest goes to an executor and is watched."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import store
from bench.executors import Executor, Job
from bench.plan import RunSpec

RETRIES = 2
"""How often a run is started again after its process was killed."""


@dataclass
class Campaign:
    """The runs of one ablation in one output folder.

    Attributes
    ----------
    cached
        Folders that were done before.
    ended
        Folder → status of those that ended now.
    """

    root: Path
    specs: Sequence[RunSpec]
    cached: list[Path] = field(default_factory=list)
    ended: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False

    def folder(self, spec: RunSpec) -> Path:
        """Return the folder of a run."""
        return self.root / spec.folder

    def run(
        self,
        executor: Executor,
        watch: Callable[[], None] = lambda: None,
        *,
        force: bool = False,
        interval: float = 0.2,
    ) -> None:
        """Run what is not done yet; Ctrl-C stops after the present steps, twice at once.

        Parameters
        ----------
        watch
            Called while waiting, to show progress.
        force
            Throw away what is there and run everything again.
        """
        jobs: list[Job] = []
        killed: dict[Path, int] = {}
        for spec in self.specs:
            folder = self.folder(spec)
            if force and folder.exists():
                shutil.rmtree(folder)
            if store.done(folder):
                self.cached.append(folder)
                continue
            # A failed run starts from the beginning: its checkpoint leads where it led before.
            if store.read_result(folder) is not None:
                shutil.rmtree(folder)
            jobs.append(Job(spec=spec, folder=folder))
        by_folder = {job.folder: job for job in jobs}
        try:
            executor.submit(jobs)
            while executor.active:
                self._collect(executor, by_folder, killed)
                watch()
                time.sleep(interval if executor.active else 0)
        except KeyboardInterrupt:
            self.interrupted = True
            executor.cancel()
            while executor.active:
                self.ended |= executor.poll()
                time.sleep(interval)
        watch()

    def _collect(self, executor: Executor, jobs: dict[Path, Job], killed: dict[Path, int]) -> None:
        for folder, status in executor.poll().items():
            if status == "killed" and killed.get(folder, 0) < RETRIES:
                killed[folder] = killed.get(folder, 0) + 1
                executor.submit([jobs[folder]])
                continue
            if status == "interrupted":
                self.interrupted = True
            self.ended[folder] = status
