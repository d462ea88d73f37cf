"""One writer per run folder, and a heartbeat that says from outside whether it is alive.

The lock is the kernel's (``flock``): it goes with the process that holds it, however that ends.
Its file is touched every few seconds; where the file system has no locks, that heartbeat is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # no flock on this system: the heartbeat alone
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
BEAT = 5.0
"""Seconds between heartbeats."""
STALE = 60.0
"""Seconds without a heartbeat after which a run counts as dead."""


@contextlib.contextmanager
def hold(folder: Path, asked_to_stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Hold a run folder while the body runs; wait for whoever else holds it.

    Yields
    ------
    bool
        True once it is held; False where ``asked_to_stop`` said so first.
    """
    if (folder / LOCK).is_symlink():  # NOFOLLOW: and it must not make a file elsewhere
        (folder / LOCK).unlink(missing_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    ended = threading.Event()
    try:
        if not _wait(handle, asked_to_stop):
            yield False
            return
        os.utime(handle)
        beating = threading.Thread(target=_beat, args=(handle, ended), daemon=True)
        beating.start()
        try:
            yield True
        finally:
            ended.set()
            beating.join()
            with contextlib.suppress(OSError):
                os.utime(handle, (0, 0))  # let go, not died
    finally:
        os.close(handle)


def _wait(handle: int, asked_to_stop: Callable[[], bool]) -> bool:
    while fcntl is not None and not asked_to_stop():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                return True  # this file system has no locks
        time.sleep(0.05)
    return fcntl is None


def _beat(handle: int, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(handle)


def silence(folder: Path) -> float | None:
    """Return the seconds since the last heartbeat; None where nobody holds or held the folder.

    A holder that ended in order leaves no heartbeat; one that was killed leaves its last.
    """
    try:
        beat = (folder / LOCK).stat().st_mtime
    except OSError:
        return None
    return None if beat == 0 else max(0.0, time.time() - beat)


def alive(folder: Path) -> bool:
    """Say whether a process, here or on another machine, holds the folder now."""
    quiet = silence(folder)
    if quiet is None:
        return False
    if fcntl is None:
        return quiet < STALE
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return quiet < STALE
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two may ask at once
    except OSError as error:
        # Held by a process of this machine: alive, however long its last step takes.
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES) or quiet < STALE
    finally:
        os.close(handle)
    # Free: dead, or held on another machine whose file system does not pass locks on.
    return quiet < 3 * BEAT
