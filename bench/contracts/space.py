"""What is searched: the contract of a search space, its supernet and its networks."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

from torch import nn

from bench.contracts.cells import Cells
from bench.contracts.supernet import Active, Architecture, Portion, Size, Standalone, Supernet

__all__ = ["Active", "Architecture", "Look", "Portion", "Size", "Space", "Standalone", "Supernet"]


@dataclass(frozen=True)
class Look:
    """How an operation is shown: its short name, and its colour on white and on black."""

    short: str
    colour: str


SPARE = ("#45a5dd", "#2b7fd4", "#0a9a70", "#8a7fd6", "#c25fa0", "#5d6fae", "#2f9e9e")
"""Colours of operations that have none of their own, in turn."""


class Space(Cells):
    """A search space: its cells, and the supernets and networks that are built of them."""

    evaluated: ClassVar[dict[str, Any]] = {}
    """Fields with the sizes at which its architectures are evaluated, where these are others."""
    recipe: ClassVar[dict[str, Any]] = {}
    """How its networks are trained from scratch where it is not as `bench.training.train` does."""
    widens: ClassVar[bool] = True
    """Whether the supernet can be widened between stages."""
    looks: ClassVar[dict[str, Look]] = {}
    """Operation → how it is shown; warm: without weights, blue: convolutions, grey: nothing."""
    published: ClassVar[dict[str, dict[str, float]]] = {}
    """Measurement → ``best`` and ``mean`` that a complete table of it must show."""

    @abstractmethod
    def supernet(self, in_channels: int, classes: int, seed: int, **options: Any) -> Supernet:
        """Build a supernet whose initial weights depend on ``seed`` alone.

        Parameters
        ----------
        in_channels, classes
            Of the images.
        seed
            Draws the initial weights.
        **options
            What variants ask for (`Variant.supernet_options`).

        Returns
        -------
        Supernet
            On the CPU, in float32.
        """

    @abstractmethod
    def size(self, resolution: int) -> Size:
        """Say how large the supernet is for images of this many pixels a side.

        Parameters
        ----------
        resolution
            Pixels a side.

        Returns
        -------
        Size
            Multiply–adds and numbers kept per image, and the weights.
        """

    @abstractmethod
    def network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int
    ) -> nn.Module:
        """Build the discretised network of one cell: ``forward(images) → logits``.

        The supernet at the one-hot mixture of the cell, given the same weights, is this network.

        Parameters
        ----------
        architecture
            A cell.
        in_channels, classes
            Of the images.
        seed
            Draws the initial weights.

        Returns
        -------
        nn.Module
            Images [B, C, H, W] → logits [B, classes], on the CPU.
        """

    @abstractmethod
    def standalone(
        self,
        architecture: Architecture,
        in_channels: int,
        classes: int,
        seed: int,
        auxiliary: bool = False,
    ) -> Standalone:
        """Build the network of one cell as it is trained from scratch to say what it is worth.

        Parameters
        ----------
        architecture
            A cell.
        in_channels, classes
            Of the images.
        seed
            Draws the initial weights.
        auxiliary
            With a second head half-way, whose loss is added while training.

        Returns
        -------
        Standalone
            The network, on the CPU.

        Raises
        ------
        ValueError
            Where an auxiliary head is asked for and the space's networks have none.
        """

    def look(self, operation: str) -> Look:
        """Return how an operation is shown.

        Parameters
        ----------
        operation
            One of ``operations``.

        Returns
        -------
        Look
            Its short name and its colour.
        """
        if (found := self.looks.get(operation)) is not None:
            return found
        others = [name for name in self.operations if name not in self.looks]
        place = others.index(operation) if operation in others else 0
        return Look(operation, SPARE[place % len(SPARE)])

    def short(self, text: str) -> str:
        """Write a cell's text in less room, for tables.

        Parameters
        ----------
        text
            A cell, as the space encodes it.

        Returns
        -------
        str
            One line.
        """
        return text

    def draw(self, text: str) -> str:
        """Return a cell as inline SVG; its text, escaped, where it cannot be drawn.

        Parameters
        ----------
        text
            A cell, as the space encodes it.

        Returns
        -------
        str
            Markup that is safe in a page.
        """
        return f"<code>{escape(text)}</code>"

    @property
    def edge_names(self) -> list[str]:
        """What pages call the edges."""
        return [f"{a} → {b}" for a, b in self.edges]

    @property
    def drawn(self) -> frozenset[str]:
        """Operations whose output is N(0, 1), drawn by the search whatever comes in."""
        return frozenset()

    @property
    def halving(self) -> frozenset[int]:
        """The edges whose operations have stride 2."""
        return frozenset()

    def deepened(self, cells: int) -> Space:
        """Return the space with a supernet of so many more cells.

        Parameters
        ----------
        cells
            How many more.

        Returns
        -------
        Space
            The space; cells of all sizes are the same cells.

        Raises
        ------
        ValueError
            Where its supernets have one depth.
        """
        raise ValueError(f"{self.name} cannot be deepened")
