"""What a process that executes runs does: catch signals, run one job, say how it ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench.runs import store

EXIT = {"ok": 0, "interrupted": 130, "disk_full": 75}
"""Status → exit code; 1 for runs that ended otherwise and have a result that says how."""


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
    """Set by SIGINT, SIGTERM, SIGUSR1 or SIGUSR2 (Slurm's warning): stop after this step.

    Also set when the process that started this one is gone: nobody would see how it ends.
    """

    def __init__(self) -> None:
        self.set = self.interrupted = False
        self.orphaned = orphaned()
        for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._handle)

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
    environment
        Set before torch looks for devices: which of them this process may see.
    """
    flag = StopFlag()
    os.environ.update(environment or {})
    from bench.runs.run import execute

    path = Path(folder)
    try:
        status = execute(store.read_spec(path), path, flag)
    except KeyboardInterrupt:
        status = "interrupted"
    sys.exit(EXIT.get(status, 1))


if __name__ == "__main__":
    run_folder(sys.argv[1])
