"""What Slurm says of this user's jobs."""

from __future__ import annotations

import getpass
import os
import subprocess
import time

from bench.written import one_line


def squeue(attempts: int = 8) -> dict[str, str]:
    """Return job → state of this user's jobs, arrays by task; asked again where Slurm is not up.

    Raises
    ------
    ValueError
        When it does not answer, by default for two minutes: not knowing is not having ended.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T"]
    command.append(f"--user={user()}")
    reason = ""
    for attempt in range(attempts):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                return dict(
                    line.strip().split("|", 1) for line in done.stdout.splitlines() if "|" in line
                )
            reason = done.stderr
        except subprocess.TimeoutExpired:
            reason = "no answer in 60 s"
        time.sleep(min(2.0**attempt, 30))
    raise ValueError(f"slurm: squeue does not answer: {one_line(reason)[-200:]}")


def user() -> str:
    """Return whose jobs are asked for."""
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
