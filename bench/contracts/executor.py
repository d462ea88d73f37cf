"""Where runs run: the contract of an executor."""

from __future__ import annotations

import errno
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bench.contracts.member import Member
from bench.contracts.settings import RunSettings

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when nothing more can be written: all runs stop, and can go on later."""


class Outcome(StrEnum):
    """How a run ended, as its result, tables and executors say it."""

    OK = "ok"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Asked to stop; its checkpoint is kept."""
    DISK_FULL = "disk_full"
    """Nothing more can be written; its last checkpoint is kept."""
    STORAGE = "storage_error"
    """Something could not be read or written; its last checkpoint is kept."""
    KILLED = "killed"
    """Its process is gone without a result."""
    CANCELLED = "cancelled"
    """Somebody took it out of a queue."""

    @classmethod
    def of(cls, error: OSError) -> Outcome:
        """Return what an error of the system means for a run.

        Parameters
        ----------
        error
            What a run or the campaign met with.

        Returns
        -------
        Outcome
            ``disk_full`` or ``storage_error``.
        """
        return cls.DISK_FULL if error.errno in FULL else cls.STORAGE

    @property
    def code(self) -> int:
        """The exit code of a process that ends so; 1 where a result says more."""
        return _CODES.get(self, 1)


_CODES = {Outcome.OK: 0, Outcome.INTERRUPTED: 130, Outcome.DISK_FULL: 75, Outcome.STORAGE: 74}
STOPPED = {code: outcome for outcome, code in _CODES.items() if code}
"""Exit code of a process → how its run ended, where it leaves no result."""


class RunView(Protocol):
    """What an executor may know of a run."""

    @property
    def ablation(self) -> str:
        """The name of the ablation."""

    @property
    def label(self) -> str:
        """The arm."""

    @property
    def seed(self) -> int:
        """The seed."""

    @property
    def settings(self) -> RunSettings:
        """Among them the device and the threads."""


@dataclass(frozen=True)
class Job:
    """One run and the folder that it writes to."""

    spec: RunView
    folder: Path


class Executor(Member):
    """Starts runs and says how they ended; the runs themselves report through their folders.

    When a job is submitted its folder is there and holds the specification of the run.
    """

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Take the jobs over; returns at once where the executor can work in the background.

        Parameters
        ----------
        jobs
            Runs whose folders are there and hold their specifications.
        """

    @abstractmethod
    def poll(self) -> dict[Path, Outcome]:
        """Do what is due and return the folders that ended since the last call, and how.

        A run that died without a result is ``killed`` and is started again by the campaign, as is
        one that something could not be read or written for; one that somebody took out of a queue
        is ``cancelled`` and is not.

        Returns
        -------
        dict[Path, Outcome]
            Folder → how its run ended; those that go on are left out.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Ask running jobs to stop after their step, and forget the waiting ones.

        Called from a signal handler: sets what the next `poll` acts on, and changes nothing else.
        """

    def slots(self, job: Job) -> int:
        """Return how many jobs like this one to submit at a time, waiting ones included.

        Parameters
        ----------
        job
            One of those that are to come.

        Returns
        -------
        int
            At least 1.
        """
        return 1

    def kill(self) -> None:
        """End running jobs at once; what they did since their last checkpoint is lost."""
        self.cancel()

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to `poll`, at most so long.

        Parameters
        ----------
        seconds
            The longest wait.
        """
        time.sleep(seconds)

    @property
    @abstractmethod
    def active(self) -> int:
        """How many jobs are waiting or running."""
