"""What runs inside a Slurm job: a small pool over the runs that the job was given."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from bench.executors._slurm_queue import squeue


class Batch:
    """The runs of one job, by folder; called by submitit on the compute node."""

    def __init__(self, folders: list[str], side_by_side: int) -> None:
        self.folders, self.side_by_side = folders, side_by_side
        self._requeue = self._ending = False

    def __call__(self) -> None:
        """Run what has no result yet; queue the job again when warned of its end."""
        from bench.contracts.executor import Job  # late: saves start-up time
        from bench.executors.processes import Processes  # late: saves start-up time
        from bench.runs import store  # late: saves start-up time
        from bench.runs.forkserver import serve  # late: saves start-up time

        todo = [folder for path in self.folders if not store.done(folder := Path(path))]
        jobs = [Job(spec=store.read_spec(folder, own=True), folder=folder) for folder in todo]
        serve(max((job.spec.settings.threads for job in jobs), default=1))
        again: Any = signal.signal(signal.SIGUSR2, self._warned)  # submitit's own
        signal.signal(signal.SIGTERM, self._ended)
        pool = Processes(jobs=self.side_by_side, slots_per_gpu=self.side_by_side)
        pool.submit(jobs)
        statuses: dict[Path, str] = {}
        while pool.active:
            if self._requeue or self._ending:
                pool.cancel()
            for folder, status in pool.poll().items():
                statuses[folder] = status
                print(f"{time.strftime('%X')} {folder.name}: {status}", flush=True)
            pool.wait(0.2)
        if (self._requeue or (self._ending and _still_wanted())) and self._left():
            again(signal.SIGUSR2, None)  # counts, pickles `checkpoint()`, requeues, exits
        if any(status != "ok" for status in statuses.values()):
            sys.exit(1)  # for sacct and squeue; how each run ended stands in its folder

    def checkpoint(self) -> Any:
        """Return what the queued job shall do: submitit asks for it before it requeues."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(Batch(self._left(), self.side_by_side))

    def _left(self) -> list[str]:
        from bench.runs import store  # late: saves start-up time

        return [path for path in self.folders if store.read_result(Path(path)) is None]

    def _warned(self, number: int, frame: FrameType | None) -> None:
        self._requeue = True

    def _ended(self, number: int, frame: FrameType | None) -> None:
        self._ending = True


def _still_wanted() -> bool:
    """Say whether a job that was asked to end by SIGTERM shall be queued again.

    Under preemption it is still running, within its grace; a job that ends then by itself is not
    queued again by Slurm, so it must do so. After scancel it is cancelled, and stays so.
    """
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    task = f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    return squeue().get(task if array else os.environ["SLURM_JOB_ID"]) == "RUNNING"
