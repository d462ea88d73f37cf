"""Lengths of parts of a search, so that a published schedule keeps its shape at any scale."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Duration = Annotated[float, Field(ge=0)]
"""Below 1: a share of the search's epochs. From 1 on: so many epochs."""


def in_epochs(duration: float, epochs: int) -> float:
    """Return a duration in epochs of a search of so many."""
    return duration if duration >= 1 else duration * epochs
