"""The cells of a space: operations, edges, texts, isomorphism. Half of the contract of a space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from bench.contracts.member import Member
from bench.contracts.supernet import Active, Architecture


class Cells(Member):
    """Which cells there are, how they are written, and what is read off their texts alone."""

    if TYPE_CHECKING:  # constants of a space, or what its fields say

        @property
        def operations(self) -> tuple[str, ...]:
            """The operations in the order of alpha's columns."""

        @property
        def edges(self) -> tuple[tuple[int, int], ...]:
            """The searched edges (from, to), in the order of the rows of alpha.

            Where a network has cells of several kinds, nodes of different kinds have different
            numbers, so that edges with the same end enter the same node.
            """

        @property
        def channels(self) -> int:
            """C: what an edge's channels are a multiple of."""

    weight_free: ClassVar[frozenset[str]]
    """Operations without weights, `none` included."""
    enumerable: ClassVar[bool] = True
    """Whether there are few enough cells for `architectures` and `unique`."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> str:
        """Write a cell as the field writes it.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        str
            Its text, from which `decode` makes the same cell.
        """

    @abstractmethod
    def decode(self, text: str) -> Architecture:
        """Read a cell; raises ValueError with what is wrong.

        Parameters
        ----------
        text
            A cell as the field writes it.

        Returns
        -------
        Architecture
            The index of an operation for every edge.

        Raises
        ------
        ValueError
            Says what is wrong with the text.
        """

    def spell(self, text: str) -> str:
        """Return the one way a cell's text is written; raises ValueError with what is wrong.

        Parameters
        ----------
        text
            A cell in any way that `decode` reads.

        Returns
        -------
        str
            The text that `encode` gives.

        Raises
        ------
        ValueError
            Says what is wrong with the text.
        """
        return self.encode(self.decode(text))

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Hashable:
        """Return what all isomorphic cells share and no others.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        Hashable
            Equal for two cells if and only if they compute the same, whatever the weights.
        """

    @abstractmethod
    def architectures(self) -> Iterator[Architecture]:
        """Enumerate every cell in a fixed order; only where the space is small enough.

        Yields
        ------
        Architecture
            A cell.
        """

    @abstractmethod
    def unique(self) -> Sequence[Architecture]:
        """Return one representative of every class of isomorphic cells, in enumeration order.

        Returns
        -------
        Sequence[Architecture]
            Cells.
        """

    @abstractmethod
    def connected(self, architecture: Architecture) -> bool:
        """Say whether anything of the input reaches the output.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        bool
            Whether the output depends on the images.
        """

    @abstractmethod
    def parameters(self, architecture: Architecture) -> int:
        """Count the weights of a cell's operations, in a unit of the space (a baseline score).

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        int
            In units of the space: in NAS-Bench-201 C² weights in a cell.
        """

    @property
    def parts(self) -> dict[str, range]:
        """The rows of alpha of every kind of cell; empty where there is one kind."""
        return {}

    def candidates(self) -> Active | None:
        """Name the operations of every edge, where edges have different ones; None: all.

        Returns
        -------
        Active | None
            For every edge the indices of its operations.
        """
        return None

    def keeps(self) -> int | None:
        """Return how many of its edges a node of a discretised cell keeps; None: all.

        Returns
        -------
        int | None
            Edges that enter a node.
        """
        return None

    @property
    def eligible(self) -> Sequence[int]:
        """Indices of the operations that a discretised cell may have."""
        return range(len(self.operations))

    def discretise(self, strength: Tensor) -> Architecture:
        """Read a cell off the strengths of operations [E, O]; the first of equals wins.

        Parameters
        ----------
        strength
            [E, O]; −inf where an operation is out.

        Returns
        -------
        Architecture
            The index of the strongest operation for every edge; −1 where the cell lacks the edge.
        """
        return tuple(strength.argmax(dim=-1).tolist())

    def sample(self, count: int, draws: torch.Generator) -> list[Architecture]:
        """Draw cells uniformly, with repetition.

        Parameters
        ----------
        count
            How many.
        draws
            Where they are drawn from.

        Returns
        -------
        list[Architecture]
            ``count`` cells.
        """
        shape = (count, len(self.edges))
        drawn = torch.randint(len(self.operations), shape, generator=draws)
        return [tuple(row) for row in drawn.tolist()]

    def thin(self, path: Sequence[int], draws: torch.Generator) -> Architecture:
        """Drop edges of a path with an operation on each until nodes have as many as they keep.

        Parameters
        ----------
        path
            The index of an operation for every edge.
        draws
            Where it is drawn from which edges go.

        Returns
        -------
        Architecture
            The cell, −1 on the edges that it lacks.
        """
        return tuple(path)

    def active(self, architecture: Architecture) -> Active:
        """Return the activity of one path: a single operation on every edge, or none.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        Active
            For every edge one index, or none.
        """
        return [[o] if o >= 0 else [] for o in architecture]

    def one_hot(self, architecture: Architecture) -> Tensor:
        """Return the mixture [E, O] of one path.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        Tensor
            [E, O] of zeros and ones.
        """
        mixture = torch.zeros(len(self.edges), len(self.operations))
        for edge, operation in enumerate(architecture):
            if operation >= 0:
                mixture[edge, operation] = 1.0
        return mixture

    def count(self, architecture: Architecture, *operations: str) -> int:
        """Count the edges that carry one of the named operations.

        Parameters
        ----------
        architecture
            A cell.
        *operations
            Names.

        Returns
        -------
        int
            0 to E.
        """
        wanted = {i for i, name in enumerate(self.operations) if name in operations}
        return sum(operation in wanted for operation in architecture)

    @property
    def says_nothing(self) -> dict[str, str]:
        """Metric → why it says nothing of this space's cells: it is neither measured nor asked about."""
        found: dict[str, str] = {}
        if "skip_connect" not in self.operations:
            found["skip_count"] = "no operation is a skip connection"
        free = [operation in self.weight_free for operation in self.operations]
        if all(free) or not any(free):
            why = f"{'every' if all(free) else 'no'} operation is without weights"
            found |= {"weight_free_share": why, "collapsed": why}
        return found

    def describe(self, architecture: Architecture) -> dict[str, float]:
        """Describe a cell by ``skip_count`` and ``weight_free_share``, where they say something.

        Parameters
        ----------
        architecture
            A cell.

        Returns
        -------
        dict[str, float]
            ``skip_count`` in edges, ``weight_free_share`` from 0 to 1 of the edges that the cell has.
            Where there are several kinds of cells, also of each: ``skip_count_normal`` and so on.
        """
        found: dict[str, float] = {}
        parts = {"": range(len(architecture))} | {f"_{k}": v for k, v in self.parts.items()}
        for suffix, rows in parts.items():
            own = tuple(architecture[row] for row in rows if architecture[row] >= 0)
            if "skip_count" not in self.says_nothing:
                found[f"skip_count{suffix}"] = self.count(own, "skip_connect")
            if "weight_free_share" not in self.says_nothing:
                free = self.count(own, *self.weight_free)
                found[f"weight_free_share{suffix}"] = free / len(own)
        return found
