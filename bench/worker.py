"""What a process that executes runs does: catch signals, run one job, say how it ended."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

from bench import store

EXIT = {"ok": 0, "interrupted": 130}


class StopFlag:
    """Set by SIGINT, SIGTERM or SIGUSR1 (Slurm's warning): stop after this step."""

    def __init__(self) -> None:
        self.set = False
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGUSR1", None)):
            if number is not None:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.set and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second time it is meant at once
        self.set = True

    def __call__(self) -> bool:
        return self.set


def work(folder: str) -> None:
    """Execute the run whose ``spec.json`` is in ``folder`` and exit with its status."""
    from bench.execute import execute

    flag = StopFlag()
    path = Path(folder)
    try:
        status = execute(store.read_spec(path), path, flag)
    except KeyboardInterrupt:
        status = "interrupted"
    sys.exit(EXIT.get(status, 1))


if __name__ == "__main__":
    work(sys.argv[1])
