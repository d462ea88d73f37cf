"""What is searched: the contract of a search space, its supernet and its networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from bench.registry import Member

Architecture = tuple[int, ...]
"""A discretised cell: the index of the chosen operation for every searched edge."""

Active = Sequence[Sequence[int]]
"""For every edge, the indices of the operations that are run; a static choice, not a tensor."""


class CellHooks(Protocol):
    """What variants may do inside a cell; the supernet asks for nothing that it does not need."""

    touched: frozenset[int]
    """Indices of the operations whose output is transformed."""
    edges: bool
    """Whether the output of whole edges is transformed."""
    partial: int | None
    """Mix only the first C/partial channels in this pass; None: as the supernet was built."""

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        """Transform the output ``y`` [B, C, H, W] of one operation, before it is weighted."""
        ...

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """Transform the mixture ``y`` of one edge whose input is ``x`` (both [B, C, H, W])."""
        ...


class Supernet(nn.Module):
    """A network with every operation on every edge.

    ``forward(images, mixture, active=None, hooks=None)`` takes images [B, C, H, W] and the mixture
    weights [E, O] (rows: edges, columns: operations; not necessarily summing to one) and returns
    logits [B, classes]. ``active`` limits what is run, ``hooks`` transform what happens in a cell.
    Weights are shared with no one; the architecture parameters are not part of the module.
    """

    def widen(
        self,
        before: int,
        after: int,
        momentum: Callable[[Tensor], Tensor | None],
        generator: torch.Generator,
    ) -> None:
        """Go from mixing C/before channels to C/after: new channels copy old ones (Net2Net).

        ``momentum`` gives the optimiser's buffer of a weight, which is widened along.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be widened")

    def statistics_from(self, rows: int | None) -> AbstractContextManager[None]:
        """Meanwhile, take batch norms' statistics from the first ``rows`` images of each batch.

        They normalise the whole batch; running statistics are neither used nor updated. None:
        no change.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot choose its statistics")

    def paths(
        self, images: Tensor, architectures: Sequence[Architecture]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (position, logits [B, classes]) of single-path networks, in any order.

        The same as one forward pass per architecture with a one-hot mixture; a space overrides
        it where work can be shared. Not differentiable.
        """
        for position, cell in enumerate(architectures):
            mixture = images.new_ones(len(cell), max(cell) + 1)
            yield position, self(images, mixture, [[operation] for operation in cell])


class Space(Member):
    """A search space: operations, supernet, networks, encodings, isomorphism."""

    operations: ClassVar[tuple[str, ...]]
    weight_free: ClassVar[frozenset[str]]
    """Operations without weights, `none` included."""
    edges: ClassVar[tuple[tuple[int, int], ...]]
    """The searched edges (from, to), in the order of the rows of alpha."""

    @abstractmethod
    def supernet(self, in_channels: int, classes: int, seed: int, **options: Any) -> Supernet:
        """Build a supernet whose initial weights depend on ``seed`` alone."""

    @abstractmethod
    def network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int
    ) -> nn.Module:
        """Build the discretised network of one cell: ``forward(images) → logits``."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> str:
        """Write a cell as the field writes it."""

    @abstractmethod
    def decode(self, text: str) -> Architecture:
        """Read a cell; raises ValueError with what is wrong."""

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Hashable:
        """Return what all isomorphic cells share and no others."""

    @abstractmethod
    def architectures(self) -> Iterator[Architecture]:
        """Enumerate every cell in a fixed order; only where the space is small enough."""

    @abstractmethod
    def unique(self) -> Sequence[Architecture]:
        """Return one representative of every class of isomorphic cells, in enumeration order."""

    @abstractmethod
    def connected(self, architecture: Architecture) -> bool:
        """Say whether anything of the input reaches the output."""

    @abstractmethod
    def parameters(self, architecture: Architecture) -> int:
        """Count the weights of a cell's operations in units of C² (the usual baseline score)."""

    def active(self, architecture: Architecture) -> Active:
        """Return the activity of one path: a single operation on every edge."""
        return [[operation] for operation in architecture]

    def count(self, architecture: Architecture, *operations: str) -> int:
        """Count the edges that carry one of the named operations."""
        wanted = {self.operations.index(operation) for operation in operations}
        return sum(operation in wanted for operation in architecture)
