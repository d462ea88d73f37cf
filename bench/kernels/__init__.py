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
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import files, ownership
from bench.data._cache import cache_folder
from bench.files import UnfitFileError
from bench.runs import lock as runlock

FLAGS = (
    "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fopenmp", "-std=c++17", "-shared", "-fPIC",
)  # fmt: skip
PATIENCE = 120.0
"""Seconds that a compiler may take."""
PROBLEMS: dict[str, str] = {}
"""Kernel → why it could not be loaded in this process."""
LARGEST = 100_000_000
"""Bytes of a library."""
SEAL = hashlib.sha256().digest_size
"""Bytes at a library's end, which the loader passes over: the checksum of what is before them."""


@functools.cache
def load(name: str, *functions: str) -> ctypes.CDLL | None:
    """Return the library of ``<name>.cpp``, compiled if need be; None where that cannot be.

    Parameters
    ----------
    functions
        What is called in it: one that lacks any of them is not used.

    The answer holds for the life of the process, so that a search never changes its arithmetic
    half-way. Several processes compile once: the others wait for the first.
    """
    try:
        library = _library(_compiled(Path(__file__).parent / f"{name}.cpp"))
        if lacking := [function for function in functions if not hasattr(library, function)]:
            raise UnfitFileError(f"{name}: the library that is kept has no {lacking[0]!r}")
        return library
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        first = said.decode(errors="replace").strip().partition("\n")[0]
        PROBLEMS[name] = " ".join((first or str(error)).split())[:200]
        return None


def _library(path: Path) -> ctypes.CDLL:
    """Load a library through the descriptor by which it was looked at: nothing can come between.

    Raises
    ------
    OSError, UnfitFileError
        Where others can have written it, or it is not what was compiled.
    """
    with ownership.open_own(path, LARGEST) as file:
        content = file.read(LARGEST)
        code, digest = content[:-SEAL], content[-SEAL:]
        if hashlib.sha256(code).digest() != digest:
            raise UnfitFileError(f"{path}: damaged (checksum differs)")
        # Kept open: the loader takes two libraries of one name for the same.
        return ctypes.CDLL(f"/proc/self/fd/{os.dup(file.fileno())}")


def compiler() -> list[str] | None:
    """Return the C++ compiler as a command (``$CXX`` may be ``ccache g++``), or None."""
    named = os.environ.get("CXX")
    for text in ("g++", "c++", "clang++") if named is None else (named,):
        if path := shutil.which(text):
            return [path]
        first, *rest = shlex.split(text) or [""]
        if path := shutil.which(first):
            return [path, *rest]
    return None


def _compiled(source: Path) -> Path:
    """Return the library's file in the cache; its name says what it was made from and for whom."""
    if (found := compiler()) is None or platform.system() != "Linux":
        raise FileNotFoundError(f"no C++ compiler ({os.environ.get('CXX') or 'g++'})")
    version = subprocess.run(
        [*found, "--version"], capture_output=True, timeout=PATIENCE, check=True
    ).stdout
    parts = [source.read_bytes(), *(h.read_bytes() for h in sorted(source.parent.glob("*.h")))]
    parts += [version, " ".join(FLAGS).encode(), _processor()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = cache_folder() / "kernels"
    library = folder / f"{source.stem}-{key}.so"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ownership.check_folder(folder)  # what others may write to is no place to load code from
    if _sound(library):
        return library
    with runlock.hold(folder):
        if not _sound(library):
            handle, temporary = tempfile.mkstemp(suffix=".so", dir=folder)
            os.close(handle)
            try:
                subprocess.run(
                    [*found, *FLAGS, str(source), "-o", temporary],
                    capture_output=True,
                    timeout=PATIENCE,
                    check=True,
                )
                made = files.read(temporary, LARGEST, links=False)
                files.append(Path(temporary), hashlib.sha256(made).digest())
                os.chmod(temporary, 0o700)  # linkers make files as the umask has it
                os.replace(temporary, library)
            finally:
                Path(temporary).unlink(missing_ok=True)
    return library


def _sound(library: Path) -> bool:
    """Say whether a library is there whole and can be believed."""
    try:
        content = ownership.read_own(library, LARGEST)
    except (OSError, ValueError):
        return False
    return hashlib.sha256(content[:-SEAL]).digest() == content[-SEAL:]


def _processor() -> bytes:
    """Return what the processor can do: a cache may be shared by unlike machines."""
    lines: list[bytes] = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    wanted = (b"model name", b"flags", b"Features", b"CPU part")
    return platform.machine().encode() + b"".join(
        dict.fromkeys(line for line in lines if line.startswith(wanted))
    )
