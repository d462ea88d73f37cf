"""What was found out about files, kept so that it need not be found out again; always optional.

Where nothing can be kept (no home, a full or read-only disk) everything works without, and nothing is
left behind. Where something was kept, it is believed only if it is ours (`bench.ownership`), under
the name it was written under, and its checksum is right.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from bench.ownership import check_folder, open_own

LARGEST = 1 << 40
"""Bytes of what is kept."""
SETTLED = 2.0
"""Seconds after which a file's times tell that it changed again, on file systems with coarse ones."""


def cache_folder() -> Path:
    """Return where caches go: ``$BENCH_CACHE``, or the platform's own place.

    Raises
    ------
    FileNotFoundError
        When there is none: an unknown user without a home.
    """
    if named := os.environ.get("BENCH_CACHE"):
        return Path(os.path.expanduser(named)).absolute()
    with contextlib.suppress(RuntimeError):  # newer versions refuse, older ones give a literal `~`
        folder = Path(platformdirs.user_cache_dir("bench-darts"))
        if folder.is_absolute():
            return folder
    raise FileNotFoundError("no home folder to keep a cache in; name one with BENCH_CACHE")


def load(key: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays stored under ``key``; None where there are none to be believed."""
    try:
        with open_own(cache_folder() / key, LARGEST) as file:
            checksum, told = file.readline(65).strip(), json.loads(file.readline(4096))
            if told["key"] != key:  # renamed: it is sound, and of other files
                return None
            arrays = {name: np.load(file, allow_pickle=False) for name in told["arrays"]}
    except FileNotFoundError:
        return None
    except PermissionError as error:
        _say_once(error.strerror or str(error))
        return None
    except Exception:  # whatever is wrong with it, it is made again
        return None
    return arrays if checksum == _checksum(key, arrays) else None


def save(key: str, **arrays: NDArray[Any]) -> None:
    """Store arrays under ``key``, atomically; several processes may do so at once.

    Where that is not possible it is said once, and nothing is left behind.
    """
    temporary = None
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_folder(folder)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(_checksum(key, arrays) + b"\n")
            file.write(json.dumps({"key": key, "arrays": list(arrays)}).encode() + b"\n")
            for array in arrays.values():
                np.save(file, array, allow_pickle=False)
        os.replace(temporary, folder / key)
        temporary = None
    except OSError as error:
        _say_once(error.strerror or str(error))
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def remembered(
    kind: str, looks: Iterable[tuple[str, os.stat_result]], find: Callable[[], str]
) -> str:
    """Return a hash of files' contents; found before if they have not been touched since.

    Parameters
    ----------
    kind
        What the hash is of.
    looks
        Name and status of every file. A file counts as untouched while it has the same inode, size
        and times. The time of its last change is among them, which no program can set back.
    find
        Reads the files and returns the hash, 64 hex digits.
    """
    started, digest, youngest = time.time(), hashlib.sha256(kind.encode()), 0.0
    for name, look in looks:
        place = (look.st_dev, look.st_ino, look.st_size, look.st_mtime_ns, look.st_ctime_ns)
        digest.update(f"{name}\0{place}\n".encode(errors="surrogateescape"))
        youngest = max(youngest, look.st_ctime, look.st_mtime)
    key = f"{kind}-{digest.hexdigest()[:32]}"
    # On Windows the time of the last change is not kept.
    usable = os.name == "posix" and youngest < started - SETTLED
    kept = (load(key) or {}).get("hash") if usable else None
    if kept is not None and kept.dtype == np.uint8 and kept.shape == (32,):
        return kept.tobytes().hex()
    found = find()
    if usable:
        save(key, hash=np.frombuffer(bytes.fromhex(found), dtype=np.uint8))
    return found


def _checksum(key: str, arrays: dict[str, NDArray[Any]]) -> bytes:
    digest = hashlib.sha256(key.encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest().encode()


@functools.cache
def _say_once(reason: str) -> None:
    if multiprocessing.parent_process() is None:  # who started the others has said so
        print(
            f"warning: nothing can be kept in the cache ({reason}); images are read anew each time",
            file=sys.stderr,
        )
