"""All runs of an ablation: what is done is kept, the rest goes to an executor and is watched."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bench.contracts.executor import Executor, Job
from bench.runs import lock as runlock
from bench.runs import store
from bench.runs.spec import RunSpec

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
    interrupted
        Somebody asked to stop, by a signal; runs that were under way left a checkpoint.
    full
        Nothing more could be written; runs that were under way keep their last checkpoint.
    """

    root: Path
    specs: Sequence[RunSpec]
    cached: list[Path] = field(default_factory=list)
    ended: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False
    full: bool = False

    def folder(self, spec: RunSpec) -> Path:
        """Return the folder of a run; raises ValueError where it would lie elsewhere."""
        return store.confined(self.root, spec)

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
        jobs = {job.folder: job for job in self._jobs(force)}
        killed: dict[Path, int] = {}
        with self._signals(executor):
            try:
                executor.submit(list(jobs.values()))
                while executor.active:
                    self._collect(executor, jobs, killed)
                    watch()
                    if executor.active:
                        executor.wait(interval)
            except KeyboardInterrupt:  # the second time
                executor.kill()
                raise
        watch()

    def _jobs(self, force: bool) -> list[Job]:
        """Return what is to do; clear away what must not be taken up again."""
        jobs: list[Job] = []
        for spec in self.specs:
            folder = self.folder(spec)
            busy = runlock.alive(folder)  # with another process; it is waited for
            if force and folder.exists() and not busy:
                shutil.rmtree(folder)
            if store.done(folder):
                self.cached.append(folder)
                continue
            # A failed run starts from the beginning: its checkpoint leads where it led before.
            if store.read_result(folder) is not None and not busy:
                shutil.rmtree(folder)
            jobs.append(Job(spec=spec, folder=folder))
        return jobs

    @contextlib.contextmanager
    def _signals(self, executor: Executor) -> Iterator[None]:
        """Make the first SIGINT or SIGTERM a request to stop, and a further SIGINT an end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.interrupted and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.interrupted = True
            executor.cancel()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _collect(self, executor: Executor, jobs: dict[Path, Job], killed: dict[Path, int]) -> None:
        for folder, status in executor.poll().items():
            if status == "killed" and killed.get(folder, 0) < RETRIES and not self._stopping:
                killed[folder] = killed.get(folder, 0) + 1
                executor.submit([jobs[folder]])
                continue
            if status == "interrupted":
                self.interrupted = True
            if status == "disk_full":
                self.full = True
                executor.cancel()
            self.ended[folder] = status

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.full
