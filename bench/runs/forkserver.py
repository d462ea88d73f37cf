"""How processes that execute runs are started: from a server that has imported what they need."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from typing import Any

from bench.runs.worker import STOP

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""Threads that wait sleep. By default they spin, and where others need the cores, those who spin
keep them from the one thread that they wait for: 10 to 17 times the time on two busy cores."""
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def serve(threads: int) -> Any:
    """Return how processes are started: from a server that has imported what a run needs.

    A terminal, Slurm, ``timeout`` and service managers signal all processes of a job. The server
    must outlive that, also while it still imports, for its runs finish their step and write a
    checkpoint: it is started with such signals held back, and runs let them through when they are
    ready for them (`bench.runs.worker.StopFlag`).
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bench.runs.run", "bench.truth.analog", "pandas"])
    with held_back():  # on its own: it lets some of them through again
        resource_tracker.ensure_running()
    with held_back(), pinned(threads):
        forkserver.ensure_running()
    return server


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back signals that ask to stop; what comes meanwhile is heard afterwards.

    What is started in it has them held back for good.
    """
    numbers = [getattr(signal, name) for name in STOP if hasattr(signal, name)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def pinned(number: int) -> Iterator[None]:
    """Tell the libraries that a new process imports how many threads to start, then forget it.

    And how these wait, unless the user says so.
    """
    before = {name: os.environ.get(name) for name in (*POOLS, *WAITING)}
    chosen = {name: value for name, value in WAITING.items() if before[name] is None}
    os.environ.update({**dict.fromkeys(POOLS, str(number)), **chosen})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
