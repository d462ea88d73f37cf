"""What the hooks of a variant are told and what they answer with: places, updates, reasons to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from bench.contracts.supernet import Active


@dataclass(frozen=True)
class Site:
    """Where inside the supernet a hook is asked."""

    cell: int
    edge: int
    operation: str = ""
    siblings: tuple[int, ...] = ()
    """For a whole edge: all edges that enter the same node, itself included."""
    stride: int = 1
    """Of the edge's operations; a skip of stride 2 is no identity."""


@dataclass(frozen=True)
class ArchitectureStep:
    """One update of the architecture, as `Variant.step_architecture` sees it.

    Attributes
    ----------
    before, after
        The parameters by name where they were, and where they are to go: where the optimiser put
        them, or the variant before this one.
    gradient
        What the optimiser was given, by name; absent where the loss does not reach a parameter.
    kept
        The operations that competed on every edge in this step; None: all.
    """

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    gradient: Mapping[str, Tensor]
    kept: Active | None


@dataclass(frozen=True)
class Stop:
    """Why a search ends early, and the epoch whose architecture counts (None: the last)."""

    reason: str
    epoch: int | None = None
