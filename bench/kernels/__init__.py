"""Compiled kernels for the CPU: made by the machine's own compiler at first use, then kept.

A kernel is a C++ file beside this one without any header of torch, so that it compiles in seconds and
outlives torch's versions. It is an option everywhere: where there is no compiler, or it fails, `load`
gives None and PyTorch does the work. ``$CXX`` names another compiler.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.data._cache import cache_folder
from bench.runs import lock as runlock

FLAGS = (
    "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fopenmp", "-std=c++17", "-shared", "-fPIC",
)  # fmt: skip
PATIENCE = 120.0
"""Seconds that a compiler may take."""


@functools.cache
def load(name: str) -> ctypes.CDLL | None:
    """Return the library of ``<name>.cpp``, compiled if need be; None where that cannot be.

    The answer holds for the life of the process, so that a search never changes its arithmetic
    half-way. Several processes compile once: the others wait for the first.
    """
    try:
        return ctypes.CDLL(str(_compiled(Path(__file__).parent / f"{name}.cpp")))
    except (OSError, subprocess.SubprocessError):
        return None


def compiler() -> str | None:
    """Return the path of the C++ compiler, or None."""
    named = os.environ.get("CXX")
    names = (named,) if named is not None else ("g++", "c++", "clang++")
    return next((path for n in names if n and (path := shutil.which(n))), None)


def _compiled(source: Path) -> Path:
    """Return the library's file in the cache; its name says what it was made from and for whom."""
    if (found := compiler()) is None or platform.system() != "Linux":
        raise FileNotFoundError("no C++ compiler")
    version = subprocess.run(
        [found, "--version"], capture_output=True, timeout=PATIENCE, check=True
    ).stdout
    parts = [source.read_bytes(), *(h.read_bytes() for h in sorted(source.parent.glob("*.h")))]
    parts += [version, " ".join(FLAGS).encode(), _processor()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = cache_folder() / "kernels"
    library = folder / f"{source.stem}-{key}.so"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _private(folder):  # what others may write to is no place to load code from
        raise PermissionError(f"{folder}: others may write here")
    if library.exists():
        return library
    with runlock.hold(folder):
        if not library.exists():
            handle, temporary = tempfile.mkstemp(suffix=".so", dir=folder)
            os.close(handle)
            try:
                subprocess.run(
                    [found, *FLAGS, str(source), "-o", temporary],
                    capture_output=True, timeout=PATIENCE, check=True,
                )  # fmt: skip
                os.replace(temporary, library)
            finally:
                Path(temporary).unlink(missing_ok=True)
    return library


def _private(folder: Path) -> bool:
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _processor() -> bytes:
    """Return what the processor can do: a cache may be shared by unlike machines."""
    lines: list[bytes] = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    wanted = (b"model name", b"flags", b"Features", b"CPU part")
    return platform.machine().encode() + b"".join(
        dict.fromkeys(line for line in lines if line.startswith(wanted))
    )
