"""Lengths and stages of a search, so that a published schedule keeps its shape at any scale."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Duration = Annotated[float, Field(ge=0)]
"""Below 1: a share of the search's epochs. From 1 on: so many epochs."""


def in_epochs(duration: float, epochs: int) -> float:
    """Return a duration in epochs of a search of so many."""
    return duration if duration >= 1 else duration * epochs


def stage(epoch: int, epochs: int, stages: int) -> int:
    """Return the stage, from 0, that an epoch lies in when a search has equal stages."""
    return min(stages - 1, epoch * stages // epochs)


def within_stage(epoch: int, epochs: int, stages: int) -> float:
    """Return how much of its stage is done, 0 to 1, when an epoch begins."""
    position = epoch * stages / epochs
    return position - stage(epoch, epochs, stages)
