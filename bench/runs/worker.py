"""What a process that executes runs does: catch signals, run one job, say how it ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench.contracts.executor import Outcome
from bench.runs import store

STOP = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Signals that ask a run to stop after its step: whatever else would end it without a checkpoint."""


def stopping() -> list[signal.Signals]:
    """Return those of `STOP` that this system has, without a hang-up that is ignored (nohup)."""
    found = [getattr(signal, name) for name in STOP if hasattr(signal, name)]
    return [s for s in found if s.name != "SIGHUP" or signal.getsignal(s) is not signal.SIG_IGN]


def let_through() -> None:
    """Let signals through that this process was started with held back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(
            signal.SIG_UNBLOCK, [getattr(signal, n) for n in STOP if hasattr(signal, n)]
        )


def orphaned() -> Callable[[], bool]:
    """Return a function that says whether who asked for this process is gone.

    A process of the server's is the server's child, and the server lives on with it: what counts is
    who asked the server.
    """
    if asked := multiprocessing.parent_process():
        return lambda: not asked.is_alive()
    parent = os.getppid()
    return lambda: os.getppid() != parent


class StopFlag:
    """Set by any signal of `STOP`, SIGUSR2 being Slurm's warning: stop after this step.

    Also set when the process that started this one is gone: nobody would see how it ends.
    """

    def __init__(self) -> None:
        self.set = self.interrupted = False
        self.orphaned = orphaned()
        for number in stopping():
            signal.signal(number, self._handle)
        let_through()  # what came before is heard now

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second time it is meant at once
        self.set = True
        self.interrupted |= number == signal.SIGINT

    def __call__(self) -> bool:
        return self.set or self.orphaned()


def run_folder(folder: str, environment: dict[str, str] | None = None) -> None:
    """Execute the run whose ``spec.json`` is in ``folder`` and exit with its status.

    Parameters
    ----------
    folder
        Of a run, with its ``spec.json``.
    environment
        Set before torch looks for devices: which of them this process may see.

    Raises
    ------
    SystemExit
        Always: with the exit code of how the run ended (`Outcome.code`).
    """
    flag = StopFlag()
    os.environ.update(environment or {})
    from bench.runs.run import execute  # late: saves start-up time

    path = Path(folder)
    try:
        outcome = execute(store.read_spec(path, own=True), path, flag)
    except KeyboardInterrupt:
        outcome = Outcome.INTERRUPTED
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        outcome = Outcome.of(error)
    sys.exit(outcome.code)


if __name__ == "__main__":
    run_folder(sys.argv[1])
