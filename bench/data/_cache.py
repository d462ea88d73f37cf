"""Decoded images on disk, so that folders of files are read once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray


def cache_folder() -> Path:
    """Return where caches go: ``$BENCH_CACHE``, or the platform's own place."""
    return Path(os.environ.get("BENCH_CACHE") or platformdirs.user_cache_dir("bench-darts"))


def load(key: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays stored under ``key``; None where there are none or they are damaged."""
    path = cache_folder() / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception:  # a damaged cache is decoded again, whatever is wrong with it
        return None


def save(key: str, **arrays: NDArray[Any]) -> None:
    """Store arrays under ``key``, atomically; several processes may do so at once."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".npz", dir=folder)
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, folder / f"{key}.npz")
