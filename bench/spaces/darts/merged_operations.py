"""All operations on the edges that leave one node, computed together.

ReLU and pooling happen once for all edges. The first depthwise convolutions of one kernel are one
convolution with several outputs per input channel, all pointwise convolutions are one batched
matrix product, and the mixture weight of an operation is the scale of its last batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.spaces.darts.genotypes import NOISE
from bench.spaces.darts.skeleton import factorised
from bench.spaces.nb201.mixed_cell import pool as average_pool
from bench.spaces.nb201.skeleton import normalise

KERNELS = {
    "sep_conv_3x3": (3, 1),
    "sep_conv_5x5": (5, 1),
    "dil_conv_3x3": (3, 2),
    "dil_conv_5x5": (5, 2),
}
"""Convolutions in the order in which they are stacked: kernel size and dilation."""
SEPARABLE = ("sep_conv_3x3", "sep_conv_5x5")
"""Those that are applied twice."""
POOLS = ("max_pool_3x3", "avg_pool_3x3")
EPSILON = 1e-5

Output = tuple[int, int, Tensor, bool]
"""Edge, operation, its output [B, C, H, W], and whether it is weighted already."""


def pool(x: Tensor, name: str, stride: int) -> Tensor:
    """Pool 3x3 neighbourhoods; padding does not count."""
    if name == "avg_pool_3x3":
        if stride == 1:
            return average_pool(x)
        return F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return reproducible_max_pool(x, stride)
    return F.max_pool2d(x, 3, stride, padding=1)


def reproducible_max_pool(x: Tensor, stride: int) -> Tensor:
    """Max pooling whose gradient torch can repeat exactly on a GPU; holds nine copies meanwhile."""
    height, width = x.shape[-2:]
    padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    shifted = [
        padded[:, :, i : i + height : stride, j : j + width : stride]
        for i in range(3)
        for j in range(3)
    ]
    return torch.stack(shifted).max(dim=0).values


class StackedNorm(nn.Module):
    """Batch norms without learned scale or shift, of blocks stacked along the channels."""

    rows: int | None = None
    """Which rows the statistics come from; see `bench.spaces.nb201.skeleton.Norm`."""

    def __init__(self, channels: int, blocks: int, running: bool) -> None:
        super().__init__()
        self.channels, self.blocks = channels, blocks
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        stacked = channels * blocks
        self.register_buffer("running_mean", torch.zeros(stacked) if running else None)
        self.register_buffer("running_var", torch.ones(stacked) if running else None)

    def forward(self, y: Tensor, live: Sequence[int], factors: Tensor | None = None) -> Tensor:
        """Normalise the ``live`` blocks [B, len(live)·C, H, W]; scale each by its factor."""
        scale = None if factors is None else factors.repeat_interleave(self.channels)
        if self.rows is not None:
            return normalise(y, self.rows, scale, None, EPSILON)
        if self.running_mean is None or self.running_var is None:
            return F.batch_norm(y, None, None, scale, None, training=True, eps=EPSILON)
        if len(live) == self.blocks:
            return F.batch_norm(
                y, self.running_mean, self.running_var, scale, None, self.training, eps=EPSILON
            )
        # Running statistics are updated in place, which needs views: one batch norm per block.
        parts = []
        for i, position in enumerate(live):
            block, own = self.block(i), self.block(position)
            parts.append(
                F.batch_norm(
                    y[:, block],
                    self.running_mean[own],
                    self.running_var[own],
                    None if scale is None else scale[block],
                    None,
                    self.training,
                    eps=EPSILON,
                )
            )
        return torch.cat(parts, dim=1)

    def block(self, position: int) -> slice:
        """Return the channels of a block."""
        return slice(position * self.channels, (position + 1) * self.channels)


class Outgoing(nn.Module):
    """Operations with weights on the edges that leave a node, stacked; pools and skips beside them.

    Parameters
    ----------
    edges
        Rows of alpha.
    present
        For each of them, the indices of the operations that it has.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        edges: Sequence[int],
        present: Sequence[Sequence[int]],
        operations: Sequence[str],
        running: bool,
    ) -> None:
        super().__init__()
        self.channels, self.stride, self.edges = channels, stride, tuple(edges)
        self.names = tuple(operations)
        self.present = {e: frozenset(own) for e, own in zip(edges, present, strict=True)}
        self.convs = self._blocks(KERNELS)
        self.twice = self._blocks(SEPARABLE)
        self.skips = self._blocks(("skip_connect",) if stride == 2 else ())
        self.depth1, self.depth2 = nn.ParameterDict(), nn.ParameterDict()
        for name, (kernel, _) in KERNELS.items():
            if count := len(self._blocks((name,))):
                for stage in (self.depth1, *([self.depth2] if name in SEPARABLE else [])):
                    stage[name] = nn.Parameter(torch.empty(count * channels, 1, kernel, kernel))
        self.places = {"1": self.convs, "2": self.twice, "reduce": self.skips}
        self.points = nn.ParameterDict(
            {
                key: nn.Parameter(torch.empty(len(blocks) * channels, channels, 1, 1))
                for key, blocks in self.places.items()
                if blocks
            }
        )
        counts = {key: len(blocks) for key, blocks in self.places.items() if blocks}
        counts |= {name: 1 for name in POOLS if self._blocks((name,))}
        self.norms = nn.ModuleDict(
            {key: StackedNorm(channels, count, running) for key, count in counts.items()}
        )

    def _blocks(self, names: Sequence[str] | dict[str, tuple[int, int]]) -> list[tuple[str, int]]:
        """Return (operation, edge) of every edge that has one of these, operation by operation."""
        return [
            (name, edge)
            for name in names
            if name in self.names
            for edge in self.edges
            if self.names.index(name) in self.present[edge]
        ]

    def forward(
        self,
        x: Tensor,
        mixture: Tensor,
        runs: Callable[[int, int], bool],
        touched: frozenset[int] = frozenset(),
    ) -> list[Output]:
        """Compute what leaves the node.

        Parameters
        ----------
        x
            The node [B, C, H, W].
        mixture
            Mixture weights [E, O] of the whole space.
        runs
            Whether an edge runs an operation.
        touched
            Operations whose output is wanted before it is weighted.
        """
        found: list[Output] = []
        convs = [b for b in self.convs if runs(b[1], self.names.index(b[0]))]
        skips = [b for b in self.skips if runs(b[1], self.names.index(b[0]))]
        rectified = F.relu(x) if convs or skips else x
        if convs:
            found += self._convolve(rectified, mixture, convs, touched)
        if skips:
            y = self._reduce(rectified, skips)
            y = self.norms["reduce"](y, *self._scaled(self.skips, skips, mixture, touched))
            found += self._split(y, skips, touched)
        for operation, name in enumerate(self.names):
            edges = [e for e in self.edges if operation in self.present[e] and runs(e, operation)]
            if not edges:
                continue
            if name in POOLS:
                y = self.norms[name](pool(x, name, self.stride), [0])
            elif name == "skip_connect" and self.stride == 1:
                y = x
            elif name == NOISE:
                y = torch.zeros_like(x[:, :, :: self.stride, :: self.stride])
            else:  # computed above, or nothing
                continue
            found += [(edge, operation, y, False) for edge in edges]
        return found

    def _convolve(
        self, x: Tensor, mixture: Tensor, live: list[tuple[str, int]], touched: frozenset[int]
    ) -> list[Output]:
        """Run separable and dilated convolutions; ``x`` is rectified."""
        parts = []
        for name, (kernel, dilation) in KERNELS.items():
            own = [b for b in live if b[0] == name]
            if own:
                weight = self._rows(self.depth1[name], self._blocks((name,)), own)
                parts.append(self._multiply(x, weight, len(own), kernel, dilation))
        height, width = x.shape[-2] // self.stride, x.shape[-1] // self.stride
        y = self._mix(self._rows(self.points["1"], self.convs, live), torch.cat(parts, dim=2))
        y = y.view(len(x), -1, height, width)
        twice = [b for b in live if b[0] in SEPARABLE]
        once = live[len(twice) :]
        positions, factors = self._scaled(self.convs, live, mixture, touched)
        if twice and once:  # what goes on to a second convolution is not weighted yet
            ones = factors.new_ones(len(twice))
            y = self.norms["1"](y, positions, torch.cat([ones, factors[len(twice) :]]))
        else:
            y = self.norms["1"](y, positions, factors if once else None)
        cut = len(twice) * self.channels
        found = self._split(y[:, cut:], once, touched) if once else []
        if not twice:
            return found
        rectified, parts, at = F.relu(y[:, :cut]), [], 0
        for name in SEPARABLE:
            own = [b for b in twice if b[0] == name]
            if own:
                weight = self._rows(self.depth2[name], self._blocks((name,)), own)
                part = rectified[:, at : at + len(weight)]
                at += len(weight)
                padding = weight.shape[-1] // 2
                parts.append(F.conv2d(part, weight, padding=padding, groups=len(weight)))
        y = torch.cat(parts, dim=1).view(len(x), len(twice), self.channels, -1).transpose(1, 2)
        y = self._mix(self._rows(self.points["2"], self.twice, twice), y).view_as(rectified)
        y = self.norms["2"](y, *self._scaled(self.twice, twice, mixture, touched))
        return [*self._split(y, twice, touched), *found]

    def _multiply(
        self, x: Tensor, weight: Tensor, count: int, kernel: int, dilation: int
    ) -> Tensor:
        """Convolve every channel of ``x`` with ``count`` kernels: [B, C, count, H·W]."""
        # Torch wants the kernels of one input channel side by side.
        weight = weight.view(count, self.channels, kernel, kernel).transpose(0, 1)
        y = F.conv2d(
            x,
            weight.reshape(-1, 1, kernel, kernel),
            stride=self.stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=self.channels,
        )
        return y.view(len(x), self.channels, count, -1)

    def _mix(self, weight: Tensor, y: Tensor) -> Tensor:
        """Multiply channels block by block: [B, C, blocks, P] to [B, blocks, C, P]."""
        return torch.matmul(weight.view(-1, self.channels, self.channels), y.transpose(1, 2))

    def _reduce(self, x: Tensor, live: list[tuple[str, int]]) -> Tensor:
        """Run the factorised reductions of all edges."""
        weight = self._rows(self.points["reduce"], self.skips, live)
        return torch.cat(
            [factorised(x, part) for part in torch.split(weight, self.channels)], dim=1
        )

    def _rows(
        self, stacked: Tensor, blocks: list[tuple[str, int]], live: list[tuple[str, int]]
    ) -> Tensor:
        """Return the rows of the live blocks."""
        if len(live) == len(blocks):
            return stacked
        parts = torch.split(stacked, self.channels)
        return torch.cat([parts[blocks.index(block)] for block in live])

    def _scaled(
        self,
        blocks: list[tuple[str, int]],
        live: list[tuple[str, int]],
        mixture: Tensor,
        touched: frozenset[int],
    ) -> tuple[list[int], Tensor]:
        """Return the live blocks' positions and weights; one where the output is touched."""
        operations = [self.names.index(name) for name, _ in live]
        factors = mixture[[edge for _, edge in live], operations]
        if touched.intersection(operations):
            plain = [o in touched for o in operations]
            factors = factors.masked_fill(torch.tensor(plain, device=factors.device), 1.0)
        return [blocks.index(block) for block in live], factors

    def _split(
        self, y: Tensor, live: list[tuple[str, int]], touched: frozenset[int]
    ) -> list[Output]:
        """Take stacked outputs apart."""
        parts = torch.split(y, self.channels, dim=1)
        found = []
        for (name, edge), part in zip(live, parts, strict=True):
            operation = self.names.index(name)
            found.append((edge, operation, part, operation not in touched))
        return found

    def operations(self) -> Iterator[list[tuple[nn.Parameter, slice]]]:
        """Yield the rows of every stacked weight that belong to one operation of one edge, together."""
        for name in (*KERNELS, "skip_connect"):
            for place, block in enumerate(self._blocks((name,))):
                places = [(self.depth1, name, place), (self.depth2, name, place)]
                places += [
                    (self.points, key, blocks.index(block))
                    for key, blocks in self.places.items()
                    if block in blocks
                ]
                own = [
                    (kernels[key], slice(at * self.channels, (at + 1) * self.channels))
                    for kernels, key, at in places
                    if key in kernels
                ]
                if own:
                    yield own

    def weights(self, edge: int, name: str) -> dict[str, Tensor]:
        """Return one operation's weights as views: depth1, depth2 and what ``points`` holds."""
        found = {}
        for key, stacked in (("depth1", self.depth1), ("depth2", self.depth2)):
            if name in stacked:
                place = self._blocks((name,)).index((name, edge))
                found[key] = torch.split(stacked[name], self.channels)[place]
        for key, blocks in self.places.items():
            if (name, edge) in blocks:
                place = blocks.index((name, edge))
                found[key] = torch.split(self.points[key], self.channels)[place]
        return found

    def statistics(self, edge: int, name: str) -> dict[str, tuple[Tensor, Tensor]]:
        """Return one operation's running means and variances by batch norm, as views."""
        found = {}
        for key, norm in self.norms.items():
            assert isinstance(norm, StackedNorm)
            blocks = self.places.get(key, [(key, edge)])  # a pool's is the same for all edges
            if (name, edge) in blocks and norm.running_mean is not None:
                assert norm.running_var is not None
                own = norm.block(blocks.index((name, edge)))
                found[key] = (norm.running_mean[own], norm.running_var[own])
        return found
