"""One NAS-Bench-201 cell as a network of its own: what discretisation ends in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contracts.space import Standalone
from bench.spaces.nb201 import cells, skeleton
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES, NONE, SKIP
from bench.spaces.nb201.mixed_cell import MixedCell, pool
from bench.spaces.nb201.supernet import NB201Supernet


class ConvNorm(nn.Module):
    """ReLU, convolution, batch norm: the benchmark's `nor_conv`."""

    def __init__(self, channels: int, kernel: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.conv = skeleton.convolution(channels, channels, kernel)
        self.norm = nn.BatchNorm2d(channels, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y: Tensor = self.norm(self.conv(F.relu(x)))
        return y


class Cell(nn.Module):
    """A discretised cell: one operation per edge, nodes sum what reaches them."""

    def __init__(self, cell: cells.Cell, channels: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.cell = cell
        self.convs = nn.ModuleDict(
            {
                str(edge): ConvNorm(channels, 3 if operation == CONV3 else 1, affine, running)
                for edge, operation in enumerate(cell)
                if operation in (CONV1, CONV3)
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        nodes = [x, torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)]
        for edge, ((source, target), operation) in enumerate(zip(EDGES, self.cell, strict=True)):
            if operation == NONE:
                continue
            y = nodes[source]
            if operation != SKIP:
                y = self.convs[str(edge)](y) if str(edge) in self.convs else pool(y)
            nodes[target] = nodes[target] + y
        return nodes[3]


class NB201Network(Standalone):
    """The network of one cell, as the benchmark trains it."""

    def __init__(
        self,
        cell: cells.Cell,
        in_channels: int,
        classes: int,
        channels: int,
        cells_per_stage: int,
        affine: bool,
        running: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.stem = skeleton.Stem(in_channels, channels, running)
        self.blocks = nn.ModuleList(
            Cell(cell, width, affine, running)
            if kind == "cell"
            else skeleton.Reduction(width // 2, width, running)
            for kind, width in skeleton.plan(channels, cells_per_stage)
        )
        self.head = skeleton.Head(4 * channels, classes, running)
        skeleton.initialise(self, generator)

    def both(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Standalone.both`."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return self.head(x), None

    @torch.no_grad()
    def inherit(self, supernet: NB201Supernet) -> None:
        """Copy the weights that the supernet holds for this cell, batch norms included."""
        self.stem.load_state_dict(supernet.stem.state_dict())
        self.head.load_state_dict(supernet.head.state_dict())
        for own, shared in zip(self.blocks, supernet.blocks, strict=True):
            if not isinstance(own, Cell) or not isinstance(shared, MixedCell):
                own.load_state_dict(shared.state_dict())
                continue
            for edge_name, conv in own.convs.items():
                assert isinstance(conv, ConvNorm)
                edge = int(edge_name)
                merged = shared.merged(edge, self.cell[edge])
                rows = merged.rows_of(edge)
                conv.conv.weight.copy_(merged.weight[rows])
                for mine, theirs in (
                    (conv.norm.weight, merged.scale),
                    (conv.norm.bias, merged.shift),
                    (conv.norm.running_mean, merged.running_mean),
                    (conv.norm.running_var, merged.running_var),
                ):
                    if mine is not None and theirs is not None:
                        mine.copy_(theirs[rows])
