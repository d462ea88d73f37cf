"""Where runs run: the contract of an executor."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bench.contracts.member import Member
from bench.runs.spec import RunSpec


class Job(BaseModel):
    """One run and the folder that it writes to."""

    model_config = ConfigDict(frozen=True)

    spec: RunSpec
    folder: Path


class Executor(Member):
    """Starts runs and says how they ended; the runs themselves report through their folders."""

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> None:
        """Take the jobs over; returns at once where the executor can work in the background."""

    @abstractmethod
    def poll(self) -> dict[Path, str]:
        """Do what is due and return the folders that ended since the last call, with the status.

        A run that died without a result has the status ``killed`` and is started again by the
        campaign; one that somebody took out of a queue is ``cancelled`` and is not.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Ask running jobs to stop after their step, and forget the waiting ones.

        Called from a signal handler: sets what the next `poll` acts on, and changes nothing else.
        """

    def kill(self) -> None:
        """End running jobs at once; what they did since their last checkpoint is lost."""
        self.cancel()

    def wait(self, seconds: float) -> None:
        """Wait until it is worth to `poll` again, at most so long."""
        time.sleep(seconds)

    @property
    @abstractmethod
    def active(self) -> int:
        """How many jobs are waiting or running."""
