"""Runs in local processes side by side: one process per run, a fixed number at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from bench import store
from bench.executors import Executor, Job
from bench.worker import work


def cores() -> int:
    """Return the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes(Executor):
    """Runs ``jobs`` local processes side by side; a run that is killed takes no other along.

    Each run has a process of its own, forked from a server that has imported torch already. It
    uses the threads that its settings name, so that results do not depend on how many run at once;
    the default number of processes is the cores divided by those threads.
    """

    jobs: int | None = Field(None, ge=1, description="processes at a time; default: as cores allow")

    _waiting: deque[Job] = PrivateAttr(default_factory=deque)
    _running: dict[Path, BaseProcess] = PrivateAttr(default_factory=dict)

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Executor.submit`."""
        self._waiting.extend(jobs)
        self._start()

    def _slots(self) -> int:
        if self.jobs is not None:
            return self.jobs
        threads = max((job.spec.settings.threads for job in self._waiting), default=1)
        return max(1, cores() // threads)

    def _start(self) -> None:
        method = (
            "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        )
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["bench.execute", "bench.truth.analog", "pandas"])
        while self._waiting and len(self._running) < self._slots():
            job = self._waiting.popleft()
            store.write_json(job.folder / store.SPEC, job.spec.model_dump(mode="json"))
            process = context.Process(target=work, args=(str(job.folder),), daemon=True)
            process.start()
            self._running[job.folder] = process

    def poll(self) -> dict[Path, str]:
        """See `Executor.poll`."""
        ended: dict[Path, str] = {}
        for folder, process in list(self._running.items()):
            process.join(timeout=0)
            if process.exitcode is None:
                continue
            del self._running[folder]
            result = store.read_result(folder)
            if process.exitcode == 130:
                ended[folder] = "interrupted"
            elif process.exitcode in (0, 1) and result is not None:
                ended[folder] = str(result["status"])
            else:
                ended[folder] = "killed"
        self._start()
        return ended

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._waiting.clear()
        for process in self._running.values():
            if process.pid is not None:
                try:
                    os.kill(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    continue

    @property
    def active(self) -> int:
        """See `Executor.active`."""
        return len(self._waiting) + len(self._running)
