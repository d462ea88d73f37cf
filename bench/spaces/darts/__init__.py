"""The DARTS space: normal and reduction cells, eight operations, two edges kept per node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from bench.contracts.registry import did_you_mean
from bench.contracts.space import Active, Architecture, Look, Size, Space, Standalone, Supernet
from bench.spaces.darts import drawing, genotypes, tables
from bench.spaces.darts.genotypes import ABSENT, KEPT, NOISE, OPERATIONS, WEIGHT_FREE
from bench.streams import generator

Names = tuple[str, ...]
UNITS = {
    "sep_conv_3x3": (18, 2),
    "sep_conv_5x5": (50, 2),
    "dil_conv_3x3": (9, 1),
    "dil_conv_5x5": (25, 1),
}
"""Weights of an operation: so many times C for its kernels and C² for its pointwise parts."""
TOO_LARGE = "the DARTS space is too large to be enumerated; draw from it instead"


class Darts(Space):
    """The DARTS cell space: normal and reduction cells of four nodes that keep two edges each.

    Rows of alpha are the 14 edges of the normal cell and then the 14 of the reduction cell, whose
    nodes are counted on (6 to 11). An architecture has −1 where an edge is not kept. Discretising
    keeps each node's two strongest edges with their strongest operation, `none` left out.

    Presets ``s1`` to ``s4`` are RobustDARTS's subsets (Zela et al. 2020, arXiv:1909.09656): s1 two
    operations chosen for every edge, s2 skip and sep_conv_3x3, s3 also `none`, s4 noise and
    sep_conv_3x3. Any other subset is a list (``operations``).

    Cells of the supernet have batch norms without learned scale or shift, and pools end in one, as
    in the original code. `skip_connect` on an edge of stride 2 is a factorised reduction, which has
    weights; it counts as weight-free by its name, as in the literature.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )
    weight_free: ClassVar[frozenset[str]] = WEIGHT_FREE
    enumerable: ClassVar[bool] = False
    evaluated: ClassVar[dict[str, Any]] = {"channels": 36, "layers": 20}
    widens: ClassVar[bool] = False
    looks: ClassVar[dict[str, Look]] = {
        "none": Look("none", "#7d8590"),
        "skip_connect": Look("skip", "#d9630a"),
        "avg_pool_3x3": Look("pool", "#b8920f"),
        "max_pool_3x3": Look("max", "#c2426b"),
        "sep_conv_3x3": Look("sep3", "#45a5dd"),
        "sep_conv_5x5": Look("sep5", "#2b7fd4"),
        "dil_conv_3x3": Look("dil3", "#0a9a70"),
        "dil_conv_5x5": Look("dil5", "#8a7fd6"),
    }
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "s1": {
            "operations": tuple(o for o in OPERATIONS if any(o in own for own in tables.S1)),
            "per_edge": tables.S1,
        },
        "s2": {"operations": ("skip_connect", "sep_conv_3x3")},
        "s3": {"operations": ("none", "skip_connect", "sep_conv_3x3")},
        "s4": {"operations": (NOISE, "sep_conv_3x3")},
    }

    operations: Names = Field(OPERATIONS, min_length=2, description="what competes, in this order")
    per_edge: tuple[Names, ...] | None = Field(
        None, description="operations of each edge, normal cell first (S1); null: all of them"
    )
    channels: int = Field(16, ge=1, description="C, channels of a node before the first reduction")
    layers: int = Field(8, ge=3, description="cells; reductions at a third and at two thirds")
    nodes: int = Field(4, ge=1, le=7, description="intermediate nodes of a cell")
    combine: Literal["concat", "sum"] = Field(
        "concat", description="a cell's output: its nodes side by side, or their sum"
    )
    running_statistics: bool = Field(
        False, description="keep running statistics in all batch norms (changes results: state it)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = [*OPERATIONS, NOISE]
        for name in self.operations:
            if name not in known:
                raise ValueError(f"operations: unknown {name!r}; {did_you_mean(name, known)}")
        if len(set(self.operations)) < len(self.operations):
            raise ValueError("operations: one of them is there twice")
        if self.per_edge is None:
            return self
        if len(self.per_edge) != len(self.edges):
            raise ValueError(
                f"per_edge: {len(self.edges)} edges with {self.nodes} nodes, "
                f"not {len(self.per_edge)}"
            )
        for edge, own in enumerate(self.per_edge):
            if missing := [name for name in own if name not in self.operations]:
                raise ValueError(f"per_edge: {missing[0]!r} of edge {edge} is not in operations")
            if not set(own) - {"none"}:
                raise ValueError(f"per_edge: edge {edge} has no operation to choose")
        return self

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(from, to) of every row of alpha; the reduction cell's nodes are counted on."""
        normal, first = genotypes.edges(self.nodes), self.nodes + 2
        return (*normal, *((a + first, b + first) for a, b in normal))

    def short(self, text: str) -> str:
        """Write a genotype in a third of its length: the inputs of every node, cell by cell."""
        cells = drawing.parse(text)
        return text if cells is None else drawing.short(cells, self.look)

    def draw(self, text: str) -> str:
        """Return the SVG of a genotype, the normal cell above the reduction cell."""
        cells = drawing.parse(text)
        return super().draw(text) if cells is None else drawing.draw(text, cells, self.look)

    @property
    def edge_names(self) -> list[str]:
        """What pages call the edges."""
        return [
            f"{cell} {a} → {b}"
            for cell in ("normal", "reduce")
            for a, b in genotypes.edges(self.nodes)
        ]

    @property
    def parts(self) -> dict[str, range]:
        """The rows of the normal and of the reduction cell."""
        half = len(self.edges) // 2
        return {"normal": range(half), "reduce": range(half, 2 * half)}

    @property
    def drawn(self) -> frozenset[str]:
        """Noise is drawn anew whenever it is asked for."""
        return frozenset({NOISE}).intersection(self.operations)

    @property
    def present(self) -> list[list[int]]:
        """The indices of every edge's operations."""
        names = self.per_edge or [self.operations] * len(self.edges)
        return [sorted(self.operations.index(name) for name in own) for own in names]

    @property
    def halving(self) -> frozenset[int]:
        """The edges from a reduction cell's two inputs."""
        reduction = self.parts["reduce"]
        own = zip(reduction, genotypes.edges(self.nodes), strict=True)
        return frozenset(row for row, (source, _) in own if source < 2)

    def deepened(self, cells: int) -> Darts:
        """Add so many cells."""
        return self.model_copy(update={"layers": self.layers + cells})

    def candidates(self) -> Active | None:
        """See `Space.candidates`."""
        return None if self.per_edge is None else self.present

    @property
    def eligible(self) -> Sequence[int]:
        """All but `none`."""
        return [o for o, name in enumerate(self.operations) if name != "none"]

    def keeps(self) -> int | None:
        """Two edges per node."""
        return KEPT

    def supernet(self, in_channels: int, classes: int, seed: int, **options: Any) -> Supernet:
        """Build the supernet; ``partial=K`` mixes only the first C/K channels, ``shuffled``."""
        from bench.spaces.darts.supernet import DartsSupernet  # late: saves start-up time

        # Torch's own initialisation draws from the global stream before ours replaces it.
        with torch.random.fork_rng(devices=[]):
            return DartsSupernet(
                in_channels,
                classes,
                self.channels,
                self.layers,
                self.nodes,
                self.operations,
                self.present,
                self.combine,
                self.running_statistics,
                generator("cpu", seed, "weights"),
                **options,
            )

    def size(self, resolution: int) -> Size:
        """Count the convolutions of all edges; a depthwise one takes the time of four times it."""
        from bench.spaces.darts import skeleton  # late: saves start-up time

        operations, weights, kept, half = 0.0, 0, 0, len(self.edges) // 2
        pixels, joined = resolution**2, self.nodes if self.combine == "concat" else 1
        for layer in skeleton.plan(self.channels, self.layers, joined):
            pixels //= 4 if layer.reduction else 1
            own = self.present[half:] if layer.reduction else self.present[:half]
            for name in (self.operations[o] for edge in own for o in edge):
                kernels, points = UNITS.get(name, (0, 0))
                weights += kernels * layer.width + points * layer.width**2
                operations += pixels * (4 * kernels * layer.width + points * layer.width**2)
                kept += pixels * layer.width * (3 * points or 1)
        return Size(operations, weights, kept)

    def network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int
    ) -> Standalone:
        """Build the network of one genotype with the batch norms of the search."""
        return self._network(
            architecture,
            in_channels,
            classes,
            seed,
            affine=False,
            running=self.running_statistics,
            normed_pools=True,
        )

    def standalone(
        self,
        architecture: Architecture,
        in_channels: int,
        classes: int,
        seed: int,
        auxiliary: bool = False,
    ) -> Standalone:
        """Build it as the paper evaluates it: affine batch norms, none after pools."""
        return self._network(
            architecture,
            in_channels,
            classes,
            seed,
            affine=True,
            running=True,
            normed_pools=False,
            auxiliary=auxiliary,
        )

    def _network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int, **options: bool
    ) -> Standalone:
        from bench.spaces.darts.network import DartsNetwork  # late: saves start-up time

        genotypes.check(architecture, self.operations, self.nodes)
        with torch.random.fork_rng(devices=[]):
            return DartsNetwork(
                architecture,
                self.operations,
                in_channels,
                classes,
                self.channels,
                self.layers,
                self.nodes,
                self.combine,
                generator=generator("cpu", seed, "weights"),
                **options,
            )

    def encode(self, architecture: Architecture) -> str:
        """Write the original code's genotype."""
        return genotypes.encode(architecture, self.operations, self.nodes)

    def decode(self, text: str) -> Architecture:
        """Read a genotype or a published one's name."""
        return genotypes.decode(text, self.operations, self.nodes)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the least of the architectures that differ in the order of nodes alone."""
        return genotypes.canonical(architecture, self.nodes)

    def architectures(self) -> Iterator[Architecture]:
        """Refuse; see `sample`."""
        raise ValueError(TOO_LARGE)

    def unique(self) -> Sequence[Architecture]:
        """Refuse; see `sample`."""
        raise ValueError(TOO_LARGE)

    def sample(self, count: int, draws: torch.Generator) -> list[Architecture]:
        """Draw two inputs for every node and an operation for each, all uniformly."""
        eligible = self.eligible
        choices = [[o for o in own if o in eligible] for own in self.present]
        found = []
        for _ in range(count):
            places = torch.randint(1 << 30, (len(choices),), generator=draws).tolist()
            path = [own[i % len(own)] for own, i in zip(choices, places, strict=True)]
            found.append(self.thin(path, draws))
        return found

    def thin(self, path: Sequence[int], draws: torch.Generator) -> Architecture:
        """Keep two edges of every node, drawn uniformly."""
        rows = [ABSENT] * len(path)
        for part in self.parts.values():
            for inputs in genotypes.entering(self.nodes):
                order = torch.randperm(len(inputs), generator=draws)[:KEPT].tolist()
                for edge in (part.start + inputs[i] for i in order):
                    rows[edge] = path[edge]
        return tuple(rows)

    def discretise(self, strength: Tensor) -> Architecture:
        """Keep each node's two strongest edges, each with its strongest operation but `none`."""
        nothing = self.operations.index("none") if "none" in self.operations else None
        rows = strength.tolist()
        for row, own in zip(rows, self.present, strict=True):
            row[:] = [value if o in own else float("-inf") for o, value in enumerate(row)]
        parts = [rows[part.start : part.stop] for part in self.parts.values()]
        return tuple(o for part in parts for o in genotypes.strongest(part, nothing, self.nodes))

    def connected(self, architecture: Architecture) -> bool:
        """Say whether both cells pass on anything of their input; only noise may keep them."""
        return genotypes.reached(architecture, self.operations, self.nodes)

    def parameters(self, architecture: Architecture) -> int:
        """Count the weights of the operations in the whole network, batch norms left out."""
        from bench.spaces.darts import skeleton  # late: saves start-up time

        total, half = 0, len(self.edges) // 2
        for layer in skeleton.plan(self.channels, self.layers, self.nodes):
            c, start = layer.width, half if layer.reduction else 0
            for row, (source, _) in enumerate(genotypes.edges(self.nodes), start):
                if architecture[row] == ABSENT:
                    continue
                name = self.operations[architecture[row]]
                kernels, points = UNITS.get(name, (0, 0))
                total += kernels * c + points * c * c
                total += c * c if name == "skip_connect" and layer.reduction and source < 2 else 0
        return total
