"""Runs in local processes side by side: one process per run, a fixed number at a time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter, deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from pydantic import Field, PrivateAttr

from bench.contracts import plugins
from bench.contracts.executor import STOPPED, Executor, Job, Outcome
from bench.devices import cores
from bench.runs import store
from bench.runs.forkserver import pinned, serve
from bench.runs.worker import run_folder


def visible_gpus() -> list[str]:
    """Return what ``CUDA_VISIBLE_DEVICES`` may name here, without starting CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device for device in named.split(",") if device]
    import torch

    return [str(i) for i in range(torch.cuda.device_count())]


class Processes(Executor):
    """Runs ``jobs`` local processes side by side; a run that is killed takes no other along.

    Each run has a process of its own, forked from a server that has imported torch already. It
    uses the threads that its settings name, so that results do not depend on how many run at once;
    the default number of processes is the cores divided by those threads. Runs on CUDA see one
    device each, the least loaded, and ``slots_per_gpu`` of them share it.
    """

    jobs: int | None = Field(None, ge=1, description="processes at a time; default: as cores allow")
    slots_per_gpu: int = Field(1, ge=1, description="runs that share one GPU; unmeasured")
    gpus: tuple[str, ...] | None = Field(None, description="CUDA devices; default: all visible")

    _waiting: deque[Job] = PrivateAttr(default_factory=deque)
    _running: dict[Path, tuple[BaseProcess, str | None]] = PrivateAttr(default_factory=dict)
    _stop: bool = PrivateAttr(default=False)

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Executor.submit`."""
        self._waiting.extend(jobs)
        self._start()

    def slots(self, job: Job) -> int:
        """See `Executor.slots`."""
        if self.jobs is not None:
            return self.jobs
        if job.spec.settings.device == "cuda":
            devices = list(self.gpus) if self.gpus is not None else visible_gpus()
            return max(1, len(devices) * self.slots_per_gpu)
        return max(1, cores() // job.spec.settings.threads)

    def _device(self, job: Job) -> tuple[bool, str | None]:
        """Return whether the job may start now, and the GPU that it gets (None: it needs none)."""
        if job.spec.settings.device != "cuda":
            return len(self._running) < self.slots(job), None
        devices = list(self.gpus) if self.gpus is not None else visible_gpus()
        if not devices:
            raise ValueError("no CUDA device is visible; use --device cpu")
        taken = Counter(gpu for _, gpu in self._running.values())
        device = min(devices, key=lambda gpu: taken[gpu])
        limit = self.jobs or len(devices) * self.slots_per_gpu
        return taken[device] < self.slots_per_gpu and len(self._running) < limit, device

    def _start(self) -> None:
        while self._waiting and not self._stop:
            free, device = self._device(self._waiting[0])
            if not free:
                return
            job = self._waiting.popleft()
            self._running[job.folder] = (self._spawn(job, device), device)

    def _spawn(self, job: Job, device: str | None) -> BaseProcess:
        environment = (
            plugins.environment()
        )  # the server may have been started before they were named
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        process: BaseProcess = serve(job.spec.settings.threads).Process(
            target=run_folder, args=(str(job.folder), environment), daemon=True
        )
        with pinned(job.spec.settings.threads):
            process.start()
        return process

    def poll(self) -> dict[Path, Outcome]:
        """See `Executor.poll`."""
        if self._stop:  # again each time: one may have been about to start when it was asked for
            self._signal(signal.SIGTERM)
        ended: dict[Path, Outcome] = {}
        for folder, (process, _) in list(self._running.items()):
            process.join(timeout=0)
            if process.exitcode is None:
                continue
            del self._running[folder]
            ended[folder] = _outcome(folder, process.exitcode)
        self._start()
        return ended

    def wait(self, seconds: float) -> None:
        """See `Executor.wait`."""
        wait([process.sentinel for process, _ in self._running.values()], timeout=seconds)

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._stop = True

    def kill(self) -> None:
        """See `Executor.kill`."""
        self._stop = True
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        for process, _ in self._running.values():
            if process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    @property
    def active(self) -> int:
        """See `Executor.active`."""
        waiting = 0 if self._stop else len(self._waiting)
        return waiting + len(self._running)


def _outcome(folder: Path, code: int) -> Outcome:
    """Return how a run ended whose process did so with an exit code."""
    if code in STOPPED:
        return STOPPED[code]
    try:
        result = store.read_result(folder) if code in (0, 1) else None
    except OSError as error:
        return Outcome.of(error)
    return Outcome.KILLED if result is None else Outcome(result["status"])
