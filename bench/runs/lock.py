"""One writer per run folder, and a heartbeat that says from outside whether it is alive.

The lock is the kernel's (``flock``): it goes with the process that holds it, however that ends. Its
file names the process that last held it and is touched every few seconds. On the holder's machine
the lock alone says whether a run is alive, whatever clocks say; from another machine, or where the
file system has no locks, it is the heartbeat.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import platform
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.files import UnfitFileError

try:
    import fcntl
except ImportError:  # no flock on this system: owner and heartbeat alone
    fcntl = None  # type: ignore[assignment]

SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""No link is followed, no pipe in its place waited for."""
LOCK = ".lock"
BEAT = 5.0
"""Seconds between heartbeats."""
STALE = 60.0
"""Seconds without a heartbeat after which a run on another machine counts as dead."""
TRIES = 10
"""How often somebody who does not wait asks for a lock that others may be looking at."""
HELD = (errno.EWOULDBLOCK, errno.EACCES)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def hold(
    folder: Path, asked_to_stop: Callable[[], bool] = lambda: False, *, wait: bool = True
) -> Iterator[bool]:
    """Hold a folder while the body runs; wait for whoever else holds it.

    The folder is made where it is missing, also where somebody removes it meanwhile.

    Parameters
    ----------
    wait
        False: give up at once where somebody else holds it.

    Yields
    ------
    bool
        True once it is held; False where ``asked_to_stop`` said so first, or it is not waited for.
    """
    handle = _open(folder)
    ended = threading.Event()
    try:
        while mine := _acquire(handle, asked_to_stop, wait):
            if _is_at(handle, folder / LOCK):
                break
            os.close(handle)  # removed while it was waited for: that lock guards nothing now
            handle = _open(folder)
        if not mine:
            yield False
            return
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_me()).encode(), 0)
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


def _open(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / LOCK).is_symlink():  # NOFOLLOW: and it must not make a file elsewhere
        (folder / LOCK).unlink(missing_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | SAFELY, 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UnfitFileError(f"{folder / LOCK}: is not a regular file")
    return handle


def _is_at(handle: int, path: Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _acquire(handle: int, asked_to_stop: Callable[[], bool], wait: bool) -> bool:
    tries = 0
    while True:
        if wait and asked_to_stop():
            return False
        if _take(handle):
            return True
        tries += 1
        if not wait and tries >= TRIES:
            return False
        time.sleep(0.05 if wait else 0.01)


def _take(handle: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in (*HELD, errno.EINTR):
                return False
            if error.errno not in NO_LOCKS:
                raise
    return not _owner_lives(handle)


def _beat(handle: int, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(handle)


def silence(folder: Path) -> float | None:
    """Return the seconds since the last heartbeat; None where nobody holds or held the folder.

    A holder that ended in order leaves no heartbeat; one that was killed leaves its last. By the
    wall clock, so only to be shown; zero where the clock was set back since.
    """
    try:
        beat = os.stat(folder / LOCK, follow_symlinks=False).st_mtime
    except OSError:
        return None
    return None if beat == 0 else max(0.0, time.time() - beat)


def alive(folder: Path) -> bool:
    """Say whether a process, here or on another machine, holds the folder now."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | SAFELY)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False  # nobody's lock
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two may ask at once
            except OSError as error:
                if error.errno in HELD:
                    return True  # however long its last step takes
            else:
                # Free: dead, or held on another machine whose file system does not pass locks on.
                owner = _owner(handle)
                return not _here(owner) and _beats(handle, 3 * BEAT)
        return _owner_lives(handle)
    finally:
        os.close(handle)


def _owner_lives(handle: int) -> bool:
    """Say, where there are no locks to ask, whether the last owner is still there."""
    if os.fstat(handle).st_mtime == 0:
        return False
    owner = _owner(handle)
    if not _here(owner):
        return _beats(handle, STALE)
    if _began(os.getpid()) is None:  # this system does not say; numbers are given out again
        return _beats(handle, STALE)
    pid, began = owner.get("pid"), owner.get("began")
    return isinstance(pid, int) and pid != os.getpid() and began == _began(pid)


def _beats(handle: int, within: float) -> bool:
    """Say whether there was a heartbeat lately; clocks of two machines may differ a little."""
    beat = os.fstat(handle).st_mtime
    return beat != 0 and abs(time.time() - beat) < within


def _owner(handle: int) -> dict[str, Any]:
    """Return who held the lock last; empty where it does not say."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        owner = json.loads(os.pread(handle, 1000, 0))
        if isinstance(owner, dict):
            return owner
    return {}


def _here(owner: dict[str, Any]) -> bool:
    return bool(owner) and (owner.get("host"), owner.get("boot")) == (platform.node(), _boot())


def _me() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": platform.node(), "boot": _boot(), "pid": pid, "began": _began(pid)}


@functools.cache
def _boot() -> str:
    """Return what changes whenever this machine starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _began(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None: it is gone or unknown.

    A number of a process may be given to another one later, but not with the same beginning.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
