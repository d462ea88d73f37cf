"""On which device a run computes."""

from __future__ import annotations

import torch


def resolve_device(wanted: str) -> torch.device:
    """Return the wanted device; ``auto`` takes CUDA, then MPS, then the CPU."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
