"""All runs of an ablation: what is done is kept, the rest goes to an executor and is watched."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from bench.contracts.executor import Executor, Job, Outcome
from bench.runs import lock as runlock
from bench.runs import store
from bench.runs.contents import Contents
from bench.runs.spec import RunSpec
from bench.runs.worker import stopping
from bench.written import one_line

RETRIES = 2
"""How often a run is started again after its process was killed, or something went unwritten."""
PAUSE = 0.5
"""Seconds before a run is started again that could not be written; twice as many the next time."""


class Grows(Protocol):
    """Says which runs are to follow, where that depends on how others ended."""

    def next(self) -> Sequence[RunSpec]:
        """Return the runs to add now; empty: none, or none before others have ended."""

    @property
    def over(self) -> bool:
        """Whether what is still under way is no longer needed."""


@dataclass
class Campaign:
    """The runs of one ablation in one output folder.

    Attributes
    ----------
    cached
        Folders that were done before.
    ended
        Folder → how it ended, of those that did now.
    interrupted
        Somebody asked to stop, by a signal; runs that were under way left a checkpoint.
    contents
        What was hashed when the runs were planned.
    full
        Nothing more could be written; runs that were under way keep their last checkpoint.
    enough
        What was under way was stopped because it was not needed; it keeps its last checkpoint.
    error
        What could not be read or written for all of them together; empty: nothing.
    """

    root: Path
    specs: Sequence[RunSpec]
    cached: list[Path] = field(default_factory=list)
    ended: dict[Path, Outcome] = field(default_factory=dict)
    interrupted: bool = False
    full: bool = False
    contents: Contents = field(default_factory=Contents)
    enough: bool = False
    error: str = ""
    _jobs: dict[Path, Job] = field(default_factory=dict, repr=False)
    _specs: dict[Path, RunSpec] = field(default_factory=dict, repr=False)
    _waiting: list[Job] = field(default_factory=list, repr=False)
    _again: Counter[Path] = field(default_factory=Counter, repr=False)
    _not_before: dict[Path, float] = field(default_factory=dict, repr=False)

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
        growth: Grows | None = None,
    ) -> None:
        """Run what is not done yet; Ctrl-C stops after the present steps, twice at once.

        Parameters
        ----------
        executor
            What starts the runs.
        watch
            Called while waiting, to show progress.
        force
            Throw away what is there and run everything again.
        interval
            Seconds between looks.
        growth
            Adds runs as others end; ``specs`` are then those that are there from the start.

        Raises
        ------
        KeyboardInterrupt
            The second time that somebody asked it to stop.
        """
        with self._signals(executor):
            self._take(self.specs, force)
            self._grow(executor, growth, force)
            try:
                while (self._waiting and not self._stopping) or executor.active:
                    executor.submit([job for job in self._due() if self._prepared(job)])
                    for folder, outcome in executor.poll().items():
                        self._note(self._jobs[folder], outcome)
                    self._grow(executor, growth, force)
                    if self._stopping:
                        executor.cancel()
                    watch()
                    if executor.active or self._waiting:
                        executor.wait(interval)
            except KeyboardInterrupt:  # the second time
                executor.kill()
                raise
        watch()

    def stop(self, error: OSError) -> None:
        """Note an error that ended it: what is finished stays, and it can be taken up again."""
        if Outcome.of(error) is Outcome.DISK_FULL:
            self.full = True
        else:
            self.error = one_line(error)

    def _grow(self, executor: Executor, growth: Grows | None, force: bool) -> None:
        """Keep the executor busy with runs that may be needed, and stop it when none is."""
        if growth is None or self._stopping:
            return
        if growth.over:
            self.enough = True
            return
        while self._room(executor):
            specs = growth.next()
            if not specs:
                break
            self.specs = [*self.specs, *specs]
            self._take(specs, force)

    def _room(self, executor: Executor) -> bool:
        if not self._jobs:
            return True
        last = next(reversed(self._jobs.values()))
        return executor.active + len(self._waiting) < executor.slots(last)

    def _take(self, specs: Sequence[RunSpec], force: bool) -> None:
        """Add what is to do to what waits; clear away what must not be taken up again.

        What another process holds is left to it: its result is waited for and taken.
        """
        for spec in specs:
            if self._stopping:
                return
            folder = self.folder(spec)
            try:
                if (force and folder.exists()) or store.read_result(folder) is not None:
                    with runlock.hold(folder, wait=False) as mine:
                        outcome = Outcome((store.read_result(folder) or {}).get("status", "killed"))
                        if mine and (force or outcome is not Outcome.OK):
                            # A failed run starts from the beginning: its checkpoint leads where it
                            # led before. Memory may be there the next time.
                            lasting = outcome is Outcome.OUT_OF_MEMORY and not force
                            store.clear(folder, keep=[store.CHECKPOINT] if lasting else [])
                if store.done(folder):
                    self.cached.append(folder)
                    continue
            except OSError as error:
                _say(folder, error)  # as is said again if it stays so
            self._specs[folder] = spec
            self._jobs[folder] = Job(spec=spec, folder=folder)
            self._waiting.append(self._jobs[folder])

    def _due(self) -> list[Job]:
        """Take out what may be submitted now; what had an error waits a little."""
        if self._stopping:
            return []
        now = time.monotonic()
        due = [job for job in self._waiting if self._not_before.get(job.folder, 0.0) <= now]
        self._waiting = [
            job for job in self._waiting if self._not_before.get(job.folder, 0.0) > now
        ]
        return due

    def _prepared(self, job: Job) -> bool:
        """Write what the run is to do; say whether that could be done."""
        try:
            store.write_spec(job.folder, self._specs[job.folder])
        except OSError as error:
            _say(job.folder, error)
            self._note(job, Outcome.of(error))
            return False
        return True

    def _note(self, job: Job, outcome: Outcome) -> None:
        """Note how a run ended, or have it started again."""
        passing = outcome in (Outcome.KILLED, Outcome.STORAGE)
        if passing and self._again[job.folder] < RETRIES and not self._stopping:
            self._again[job.folder] += 1
            if outcome is Outcome.STORAGE:  # what cannot be written now may be a little later
                pause = PAUSE * self._again[job.folder]
                self._not_before[job.folder] = time.monotonic() + pause
            self._waiting.append(job)
            return
        self.interrupted |= outcome is Outcome.INTERRUPTED and not self.enough
        self.full |= outcome is Outcome.DISK_FULL
        self.ended[job.folder] = outcome

    @contextlib.contextmanager
    def _signals(self, executor: Executor) -> Iterator[None]:
        """Make the first signal a request to stop, and a further SIGINT or SIGQUIT an end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.interrupted and number in (signal.SIGINT, getattr(signal, "SIGQUIT", None)):
                raise KeyboardInterrupt
            self.interrupted = True
            executor.cancel()

        before = {number: signal.signal(number, stop) for number in stopping()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.full or self.enough


def _say(folder: Path, error: OSError) -> None:
    print(f"{folder}: {error.strerror or error}", file=sys.stderr)
