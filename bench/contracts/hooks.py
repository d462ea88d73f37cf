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
        """Transform the output ``y`` [B, C, H, W] of one operation, before it is weighted.

        Parameters
        ----------
        y
            [B, C, H, W].
        cell, edge, operation
            Indices; the cell is counted from the stem.

        Returns
        -------
        Tensor
            The same shape.
        """
        ...

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """Transform the mixture ``y`` of one edge whose input is ``x`` (both [B, C, H, W]).

        On an edge of stride 2, ``x`` is the input averaged over 2x2 pixels.

        Parameters
        ----------
        y, x
            [B, C, H, W] each.
        cell, edge
            Indices; the cell is counted from the stem.

        Returns
        -------
        Tensor
            The shape of ``y``.
        """
        ...


class CompiledSteps(Protocol):
    """What runs the passes of a search step as compiled graphs (`bench.kernels.inductor`)."""

    def step(self) -> AbstractContextManager[None]:
        """Surround one update of a search.

        Returns
        -------
        AbstractContextManager[None]
            Entered before the update and left after it.
        """

    def applies(self, images: Tensor, mixture: Tensor, active: Any, hooks: Any) -> bool:
        """Say whether a pass is one of those that were compiled.

        Parameters
        ----------
        images
            [B, C, H, W].
        mixture
            [E, O].
        active
            For every edge the operations that are run; None: all.
        hooks
            A `CellHooks`, or None.

        Returns
        -------
        bool
            Whether the compiled graph gives what the module would.
        """

    def __call__(self, images: Tensor, mixture: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, classes]."""
