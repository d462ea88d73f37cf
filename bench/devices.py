"""On which device a run computes, and what this machine has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch


def cores() -> int:
    """Return the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_device(wanted: str) -> torch.device:
    """Return the wanted device; ``auto`` takes CUDA, then MPS, then the CPU."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextlib.contextmanager
def computing(threads: int | None = None, deterministic: bool | None = None) -> Iterator[None]:
    """Hold torch to so many threads and to determinism, and put both back afterwards.

    Parameters
    ----------
    threads
        CPU threads of one operation; None: as they are.
    deterministic
        Refuse what gives other sums each time, or allow it; None: as it is.
    """
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if threads is not None:
        torch.set_num_threads(threads)
    if deterministic is not None:
        torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)
