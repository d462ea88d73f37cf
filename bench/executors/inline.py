"""Runs one after the other in this process: for debugging and for a single run."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from pydantic import PrivateAttr

from bench.contracts.executor import Executor, Job, Outcome


class Inline(Executor):
    """Runs jobs in this very process, one per `poll`; nothing is started, tracebacks are near."""

    _waiting: deque[Job] = PrivateAttr(default_factory=deque)
    _stop: bool = PrivateAttr(default=False)

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Executor.submit`."""
        self._waiting.extend(jobs)

    def poll(self) -> dict[Path, Outcome]:
        """Run the next job to its end."""
        from bench.runs import store  # late: torch is loaded only where runs are executed
        from bench.runs.run import execute  # likewise

        if not self.active:
            return {}
        job = self._waiting.popleft()
        try:
            spec = store.read_spec(job.folder, own=True)
        except OSError as error:
            print(f"{job.folder}: {error}", file=sys.stderr)
            return {job.folder: Outcome.of(error)}
        return {job.folder: execute(spec, job.folder, lambda: self._stop)}

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._stop = True

    @property
    def active(self) -> int:
        """See `Executor.active`."""
        return 0 if self._stop else len(self._waiting)
