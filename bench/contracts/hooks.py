"""What may happen inside a cell, and what may run a step in its place."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor


class CellHooks(Protocol):
    """What variants may do inside a cell; the supernet asks for nothing that it does not need."""

    touched: frozenset[int]
    """Indices of the operations whose output is transformed."""
    edges: bool
    """Whether the output of whole edges is transformed."""
    partial: int | None
    """Mix only the first C/partial channels in this pass; None: as the supernet was built."""

    @property
    def recordable(self) -> bool:
        """Whether the hooks may be shown stand-ins to learn what they do: they only transform."""
        ...

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        """Transform the output ``y`` [B, C, H, W] of one operation, before it is weighted."""
        ...

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """Transform the mixture ``y`` of one edge whose input is ``x`` (both [B, C, H, W]).

        On an edge of stride 2, ``x`` is the input averaged over 2x2 pixels.
        """
        ...


class CompiledSteps(Protocol):
    """What runs the passes of a search step as compiled graphs (`bench.kernels.inductor`)."""

    def step(self) -> AbstractContextManager[None]:
        """Surround one update of a search."""

    def applies(self, images: Tensor, mixture: Tensor, active: Any, hooks: Any) -> bool:
        """Say whether a pass is one of those that were compiled."""

    def __call__(self, images: Tensor, mixture: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, classes]."""
