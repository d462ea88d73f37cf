"""NAS-Bench-201: 4 nodes, 6 edges, 5 operations, 15,625 cells with known accuracies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field

from bench.contracts.space import Architecture, Look, Size, Space, Standalone, Supernet
from bench.spaces.nb201 import cells, drawing
from bench.streams import generator


class NB201(Space):
    """The NAS-Bench-201 cell space, full size C=16, N=5 and anything smaller.

    `none`, `skip_connect`, `nor_conv_1x1`, `nor_conv_3x3`, `avg_pool_3x3` on six edges; a node is
    the sum of its edges. 15,625 cells, 6,466 of them unique under the benchmark's isomorphism.
    """

    paper: ClassVar[str] = (
        "Dong and Yang 2020, NAS-Bench-201: Extending the Scope of Reproducible Neural "
        "Architecture Search, arXiv:2001.00326"
    )
    operations: ClassVar[tuple[str, ...]] = cells.OPERATIONS
    weight_free: ClassVar[frozenset[str]] = frozenset({"none", "skip_connect", "avg_pool_3x3"})
    edges: ClassVar[tuple[tuple[int, int], ...]] = cells.EDGES
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 200,
        "batch": 256,
        "lr": 0.1,
        "nesterov": True,
        "weight_decay": 5e-4,
        "clip": None,
        "drop_path": 0.0,
        "cutout": 0,
        "auxiliary": 0.0,
    }
    """The benchmark's own."""
    published: ClassVar[dict[str, dict[str, float]]] = {
        "cifar10_test_200": {"best": 94.37, "mean": 87.06}
    }
    """Dong and Yang 2020: what the official table must show."""
    looks: ClassVar[dict[str, Look]] = {
        "none": Look("none", "#7d8590"),
        "skip_connect": Look("skip", "#d9630a"),
        "avg_pool_3x3": Look("pool", "#b8920f"),
        "nor_conv_1x1": Look("1x1", "#45a5dd"),
        "nor_conv_3x3": Look("3x3", "#2b7fd4"),
    }

    channels: int = Field(16, ge=1, description="C, channels of the first stage")
    cells: int = Field(5, ge=1, description="N, cells per stage")
    affine: bool = Field(False, description="learned scale and shift in the cells' batch norms")
    running_statistics: bool = Field(
        False, description="keep running statistics in all batch norms (changes results: state it)"
    )

    def deepened(self, cells: int) -> NB201:
        """Add so many cells to each of the three stages."""
        return self.model_copy(update={"cells": self.cells + cells})

    def supernet(self, in_channels: int, classes: int, seed: int, **options: Any) -> Supernet:
        """Build the supernet; ``partial=K`` mixes only the first C/K channels, ``shuffled``."""
        from bench.spaces.nb201.supernet import NB201Supernet  # late: saves start-up time

        # Torch's own initialisation draws from the global stream before ours replaces it.
        with torch.random.fork_rng(devices=[]):
            return NB201Supernet(
                in_channels,
                classes,
                self.channels,
                self.cells,
                self.affine,
                self.running_statistics,
                generator("cpu", seed, "weights"),
                **options,
            )

    def short(self, text: str) -> str:
        """Write a cell's string in a third of its length."""
        return drawing.short(text, self.look)

    def draw(self, text: str) -> str:
        """Return the SVG of a cell: nodes on a line, an arc for every edge."""
        return drawing.draw(text, self.look)

    def size(self, resolution: int) -> Size:
        """Count the six edges' convolutions of all cells."""
        each = 3 * self.cells * 60 * self.channels**2
        kept = 60 * self.cells * self.channels * resolution**2
        return Size(each * resolution**2, 7 * each, kept)

    def network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int
    ) -> Standalone:
        """Build the network of one cell with this space's sizes and batch norm options."""
        from bench.spaces.nb201.network import NB201Network  # late: saves start-up time

        with torch.random.fork_rng(devices=[]):
            return NB201Network(
                architecture,
                in_channels,
                classes,
                self.channels,
                self.cells,
                self.affine,
                self.running_statistics,
                generator("cpu", seed, "weights"),
            )

    def standalone(
        self,
        architecture: Architecture,
        in_channels: int,
        classes: int,
        seed: int,
        auxiliary: bool = False,
    ) -> Standalone:
        """Build it as the benchmark trains it: affine batch norms with running statistics."""
        if auxiliary:
            raise ValueError("auxiliary: networks of NAS-Bench-201 have no auxiliary head; use 0")
        own = self.model_copy(update={"affine": True, "running_statistics": True})
        return own.network(architecture, in_channels, classes, seed)

    def encode(self, architecture: Architecture) -> str:
        """Write the benchmark's string."""
        return cells.encode(architecture)

    def decode(self, text: str) -> Architecture:
        """Read the benchmark's string."""
        return cells.decode(text)

    def spell(self, text: str) -> str:
        """Return the string itself, which can be written in one way only."""
        return text if text in cells.strings() else super().spell(text)

    def canonical(self, architecture: Architecture) -> str:
        """Return the benchmark's isomorphism string (6,466 of them)."""
        return cells.canonical(architecture)

    def architectures(self) -> Iterator[Architecture]:
        """Enumerate all 15,625 cells."""
        return cells.architectures()

    def unique(self) -> Sequence[Architecture]:
        """Return the 6,466 representatives."""
        return cells.unique()

    def connected(self, architecture: Architecture) -> bool:
        """Say whether the input reaches the output."""
        return cells.connected(architecture)

    def parameters(self, architecture: Architecture) -> int:
        """Return 9·#conv3x3 + #conv1x1."""
        return cells.parameters(architecture)
