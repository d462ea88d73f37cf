"""Runs on a Slurm cluster: job arrays through submitit, taken up again after preemption."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr

from bench.contracts import plugins
from bench.contracts.executor import Executor, Job, Outcome
from bench.executors._slurm_job import Batch
from bench.executors._slurm_queue import squeue
from bench.files import read_json
from bench.names import TASK
from bench.runs import store
from bench.written import one_line

ENDED = {"BOOT_FAIL", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
CANCELLED = {"CANCELLED", "REVOKED"}
LONGEST = 1000
"""Tasks of an array: one less than Slurm's default MaxArraySize."""
AT_A_TIME = 16
"""Jobs that are kept in the queue where it is open how many will be needed and no limit was set."""
JOB = "slurm.json"
"""In a run's folder: the array task that it was last given to."""
LARGEST = 10_000
"""Bytes of it."""


def _minutes(value: Any) -> Any:
    """Read Slurm's own ``[days-]hours:minutes[:seconds]`` as minutes."""
    form = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", str(value))
    if form is None:
        return value
    days, hours, minutes, seconds = (int(part or 0) for part in form.groups())
    return (days * 24 + hours) * 60 + minutes + math.ceil(seconds / 60)


class Slurm(Executor):
    """Gives runs to Slurm as arrays, ``pack`` runs to a job, and follows them with squeue.

    A job that is about to be preempted or to run out of time lets its runs finish their step,
    keeps a checkpoint and queues itself again. Ending this program with Ctrl-C cancels the jobs;
    should it be killed, they go on, and the same command finds them instead of starting others.
    Needs the extra ``slurm`` (submitit) and a folder that login and compute nodes share.
    """

    partition: str | None = Field(None, description="default: the cluster's")
    time: Annotated[int, BeforeValidator(_minutes)] = Field(
        240, ge=1, description="limit of a job: minutes, or [days-]hours:minutes[:seconds]"
    )
    gpus: int | None = Field(None, ge=0, description="per job; default: 1 for runs on cuda")
    cpus: int | None = Field(None, ge=1, description="per job; default: threads × side_by_side")
    memory_gb: float | None = Field(None, gt=0, description="per job; default: the cluster's")
    pack: int = Field(1, ge=1, description="runs in one job, for runs of minutes")
    side_by_side: int = Field(1, ge=1, description="of the runs in a job, how many at a time")
    jobs: int | None = Field(None, ge=1, description="jobs of an array at a time; default: all")
    signal_seconds: int = Field(90, ge=1, description="warning before the limit; a step must fit")
    requeues: int = Field(20, ge=0, description="how often a job may run out of time and go on")
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: tuple[str, ...] = Field((), description="shell lines before the job, e.g. module load")
    sbatch: dict[str, str | int | bool] = Field({}, description="any other option of sbatch")
    poll_seconds: float = Field(5.0, gt=0, description="between two calls of squeue")

    _jobs: dict[Path, str] = PrivateAttr(default_factory=dict)
    _gone: set[Path] = PrivateAttr(default_factory=set)
    _next: float = PrivateAttr(default=0.0)
    _stop: bool = PrivateAttr(default=False)
    _cancelled: set[str] = PrivateAttr(default_factory=set)

    def submit(self, jobs: Sequence[Job]) -> None:
        """See `Executor.submit`; raises ValueError where there is no Slurm or it refuses."""
        if not jobs:
            return
        for program in ("sbatch", "squeue", "scancel"):
            if shutil.which(program) is None:
                raise ValueError(f"slurm: {program} is not found; run this on a login node")
        states = squeue(attempts=2)
        groups: dict[tuple[str, int], list[Job]] = {}
        for job in jobs:
            task = _last_job(job.folder)
            if task is not None and states.get(task, "COMPLETED") not in ENDED | CANCELLED:
                self._jobs[job.folder] = task  # of a campaign before this one; still at it
                continue
            settings = job.spec.settings
            groups.setdefault((settings.device, settings.threads), []).append(job)
        for (device, threads), members in groups.items():
            for start in range(0, len(members), LONGEST * self.pack):
                self._array(members[start : start + LONGEST * self.pack], device, threads)

    def _array(self, jobs: list[Job], device: str, threads: int) -> None:
        """Submit jobs that need the same resources as one array."""
        try:
            import submitit
        except ImportError:
            raise ValueError("slurm: needs submitit: pip install 'bench-darts[slurm]'") from None
        gpus = self.gpus if self.gpus is not None else int(device == "cuda")
        packs = [jobs[i : i + self.pack] for i in range(0, len(jobs), self.pack)]
        # Beside the runs: submitit pickles what it submits, and only it reads that back.
        logs = jobs[0].folder.parent / "slurm"
        if logs.is_symlink():
            raise ValueError(f"{logs}: is a link; job scripts are written only beside the runs")
        if not (place := str(logs.absolute())).isprintable() or "%" in place:
            raise ValueError(
                f"slurm: {place!r}: a job script cannot hold this path; use an output folder without "
                "% and control characters"
            )
        executor = submitit.SlurmExecutor(folder=logs.absolute(), max_num_timeout=self.requeues)
        options = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gpus_per_node": gpus or None,
            "mem": f"{math.ceil(self.memory_gb * 1024)}M" if self.memory_gb else None,
        }
        home = shlex.quote(str(Path(store.__file__).parents[2].absolute()))
        executor.update_parameters(
            job_name=f"bench-{jobs[0].spec.ablation}"[:60],
            time=self.time,
            cpus_per_task=self.cpus or threads * self.side_by_side,
            signal_delay_s=self.signal_seconds,
            array_parallelism=self.jobs or len(packs),
            setup=[
                f'export PYTHONPATH={home}"${{PYTHONPATH:+:$PYTHONPATH}}"',
                *(f"export {n}={shlex.quote(v)}" for n, v in plugins.environment().items()),
                *self.setup,
            ],
            additional_parameters={"requeue": True, **self.sbatch},
            **{name: value for name, value in options.items() if value is not None},
        )
        try:
            with executor.batch():
                submitted = [
                    executor.submit(
                        Batch([str(job.folder.absolute()) for job in pack], self.side_by_side)
                    )
                    for pack in packs
                ]
        except submitit.core.utils.FailedJobError as error:
            reason = one_line(error)[-200:]
            raise ValueError(f"slurm: sbatch refused the jobs: {reason}") from None
        for pack, task in zip(packs, submitted, strict=True):
            for job in pack:
                self._jobs[job.folder] = task.job_id
                try:
                    store.write_json(job.folder / JOB, {"job": task.job_id, "time": time.time()})
                except OSError as error:  # it is in the queue all the same
                    print(
                        f"{job.folder / JOB}: {error.strerror}; should this command be killed, "
                        f"job {task.job_id} is not found again",
                        file=sys.stderr,
                    )

    def poll(self) -> dict[Path, Outcome]:
        """See `Executor.poll`; asks Slurm at most every ``poll_seconds``."""
        ended: dict[Path, Outcome] = {}
        if time.monotonic() < self._next and not (self._stop and not self._cancelled):
            return ended
        self._next = time.monotonic() + self.poll_seconds
        if self._stop:
            self._scancel()
        states = squeue()
        for folder, task in list(self._jobs.items()):
            if (outcome := _result(folder)) is not None:
                ended[folder] = outcome
            elif (state := states.get(task, "COMPLETED")) in ENDED | CANCELLED:
                # A shared file system may show what the job wrote a little later than squeue.
                if folder not in self._gone:
                    self._gone.add(folder)
                    continue
                if self._stop:
                    ended[folder] = Outcome.INTERRUPTED
                else:
                    ended[folder] = Outcome.CANCELLED if state in CANCELLED else Outcome.KILLED
            else:
                continue
            del self._jobs[folder]
            self._gone.discard(folder)
        return ended

    def _scancel(self) -> None:
        due = sorted(set(self._jobs.values()) - self._cancelled)
        if due:
            subprocess.run(["scancel", *due], capture_output=True, timeout=60, check=False)
            self._cancelled.update(due)

    def slots(self, job: Job) -> int:
        """See `Executor.slots`."""
        return (self.jobs or AT_A_TIME) * self.pack

    def cancel(self) -> None:
        """See `Executor.cancel`."""
        self._stop = True

    def kill(self) -> None:
        """See `Executor.kill`."""
        self._stop = True
        self._scancel()

    @property
    def active(self) -> int:
        """See `Executor.active`."""
        return len(self._jobs)


def _result(folder: Path) -> Outcome | None:
    try:
        result = store.read_result(folder)
    except OSError:  # a shared file system may do so for a while; it is asked again
        return None
    return None if result is None else Outcome(result["status"])


def _last_job(folder: Path) -> str | None:
    try:
        found = read_json(folder / JOB, LARGEST, links=False)
    except (OSError, ValueError):
        return None
    task = found.get("job") if isinstance(found, dict) else None
    # It goes to scancel, which would take `--user=me` for an option.
    return task if isinstance(task, str) and TASK.fullmatch(task) else None
