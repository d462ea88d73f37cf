"""A search cut into equal stages, counted in epochs from 0."""

from __future__ import annotations


def stage(epoch: int, epochs: int, stages: int) -> int:
    """Return the stage, from 0, that an epoch lies in when a search has equal stages."""
    return min(stages - 1, epoch * stages // epochs)


def bounds(number: int, epochs: int, stages: int) -> tuple[int, int]:
    """Return a stage's first epoch and how many it has."""
    first, after = (-(-n * epochs // stages) for n in (number, number + 1))
    return first, after - first


def within_stage(epoch: int, epochs: int, stages: int) -> float:
    """Return how much of its stage is done, 0 to 1, when an epoch begins."""
    first, length = bounds(stage(epoch, epochs, stages), epochs, stages)
    return (epoch - first) / max(1, length)
