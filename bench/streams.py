"""Random streams without hidden state: every draw is a function of the seed and of where it happens.

A generator is seeded by hashing its key, such as ``(seed, "augment", "train", step)``. Nothing has to
be saved to resume bit-identically, an instrument cannot consume what training would have drawn, two
variants with the same seed see the same images in the same order, and evaluating the same loss twice
within a step uses the same random numbers (as finite differences need).
"""

from __future__ import annotations

import hashlib

import torch

Key = int | str


def seed_of(*key: Key) -> int:
    """Hash a key to 63 bits; equal keys give equal seeds on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device | str, *key: Key) -> torch.Generator:
    """Return a fresh generator on ``device`` for this key.

    Streams differ between device types: torch draws other numbers on CUDA than on the CPU.

    Parameters
    ----------
    device
        Where the numbers are drawn.
    *key
        Words and whole numbers: the seed of the run, what is drawn, and when.

    Returns
    -------
    torch.Generator
        At the start of its stream.
    """
    return torch.Generator(device=torch.device(device).type).manual_seed(seed_of(*key))
