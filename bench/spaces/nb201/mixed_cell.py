"""The mixed cell of the NAS-Bench-201 supernet in its fast form; equal to the textbook form to rounding.

What makes it fast: ReLU and pooling happen once per node, convolutions that read the same node are
one convolution with stacked outputs, `none` is never computed, and the mixture weight of a
convolution is the scale of its batch norm, so that its gradient comes with batch norm's own.
Gradients that a step does not ask for are never formed, because autograd prunes them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active
from bench.spaces.nb201 import skeleton
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES, POOL, SKIP

OUTGOING = tuple([e for e, (source, _) in enumerate(EDGES) if source == node] for node in range(3))
"""For every node the edges that leave it, in the order in which their convolutions are stacked."""
EPSILON = 1e-5


def pool(x: Tensor) -> Tensor:
    """Average 3x3 neighbourhoods at stride 1; padding is not counted."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # whoever compiles, vectorises
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    # On the CPU torch's pooling is not vectorised: a depthwise sum is 4 to 8 times as fast.
    ones, shares = _pool_constants(x.shape[1], x.shape[2], x.shape[3], x.dtype)
    return F.conv2d(x, ones, padding=1, groups=x.shape[1]) * shares


@functools.lru_cache(maxsize=64)
def _pool_constants(
    channels: int, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the summing kernel [C, 1, 3, 3] and one over the number of neighbours [H, W]."""
    ones = torch.ones(channels, 1, 3, 3, dtype=dtype)
    image = torch.ones(1, 1, height, width, dtype=dtype)
    return ones, 1 / F.conv2d(image, ones[:1], padding=1)[0, 0]


class MergedConvolution(nn.Module):
    """All convolutions of one kernel size that read the same node, with their batch norms.

    Outputs of the ``edges`` are stacked along the channels: weight [E·C, C, k, k].
    """

    rows: int | None = None
    """Which rows the statistics come from; see `skeleton.Norm`."""

    def __init__(
        self, channels: int, kernel: int, edges: Sequence[int], affine: bool, running: bool
    ) -> None:
        super().__init__()
        self.channels, self.edges = channels, tuple(edges)
        stacked = channels * len(edges)
        self.weight = nn.Parameter(torch.empty(stacked, channels, kernel, kernel))
        self.scale = nn.Parameter(torch.ones(stacked)) if affine else None
        self.shift = nn.Parameter(torch.zeros(stacked)) if affine else None
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.register_buffer("running_mean", torch.zeros(stacked) if running else None)
        self.register_buffer("running_var", torch.ones(stacked) if running else None)

    def forward(self, x: Tensor, factors: Tensor | None, live: Sequence[int]) -> Tensor:
        """Convolve and normalise.

        Parameters
        ----------
        x
            The node after ReLU [B, C, H, W].
        factors
            Mixture weights of the live edges [len(live)], or None for ones.
        live
            Positions in ``edges`` of those to compute.

        Returns
        -------
        Tensor
            [B, len(live)·C, H, W], with the C of ``x``.
        """
        width = x.shape[1]  # narrower than built while a search mixes fewer channels
        weight = self._rows(self.weight, live, width)
        weight = weight if width == self.channels else weight[:, :width]
        y = F.conv2d(x, weight, padding=self.weight.shape[-1] // 2)
        if factors is None:
            scale = None if self.scale is None else self._rows(self.scale, live, width)
            shift = None if self.shift is None else self._rows(self.shift, live, width)
        else:
            scale = factors.repeat_interleave(width)
            # The shift belongs to the operation's output, so the mixture weight scales it too.
            shift = None if self.shift is None else self._rows(self.shift, live, width) * scale
            scale = scale if self.scale is None else self._rows(self.scale, live, width) * scale
        if self.rows is not None:
            return skeleton.normalise(y, self.rows, scale, shift, EPSILON)
        if self.running_mean is None or self.running_var is None:
            return F.batch_norm(y, None, None, scale, shift, training=True, eps=EPSILON)
        if len(live) == len(self.edges) and width == self.channels:
            return F.batch_norm(
                y, self.running_mean, self.running_var, scale, shift, self.training, eps=EPSILON
            )
        # Running statistics are updated in place, which needs views: one batch norm per edge.
        parts = []
        for i, position in enumerate(live):
            block, own = slice(i * width, (i + 1) * width), self._block(position, width)
            parts.append(
                F.batch_norm(
                    y[:, block],
                    self.running_mean[own],
                    self.running_var[own],
                    None if scale is None else scale[block],
                    None if shift is None else shift[block],
                    self.training,
                    eps=EPSILON,
                )
            )
        return torch.cat(parts, dim=1)

    def rows_of(self, edge: int) -> slice:
        """Return the rows of ``weight`` that belong to an edge of the cell."""
        return self._block(self.edges.index(edge))

    @torch.no_grad()
    def widen(
        self,
        before: int,
        after: int,
        momentum: Callable[[Tensor], Tensor | None],
        generator: torch.Generator,
    ) -> None:
        """Let channels ``before`` to ``after`` of every edge copy random ones below them."""
        for position in range(len(self.edges)):
            start = self._block(position).start
            new = slice(before, after)
            inputs, outputs = (
                torch.randint(before, (after - before,), generator=generator).to(self.weight.device)
                for _ in range(2)
            )
            for tensor in (self.weight, momentum(self.weight)):
                if tensor is not None:
                    rows = tensor[start : start + after]
                    rows[:before, new] = rows[:before, inputs]
                    rows[new, :after] = rows[outputs, :after]
            own = (self.scale, self.shift)
            along = [momentum(part) for part in own if part is not None]
            for vector in (*own, *along, self.running_mean, self.running_var):
                if vector is not None:
                    rows = vector[start : start + after]
                    rows[new] = rows[outputs]

    def _block(self, position: int, width: int | None = None) -> slice:
        start = position * self.channels
        return slice(start, start + (self.channels if width is None else width))

    def _rows(self, stacked: Tensor, live: Sequence[int], width: int) -> Tensor:
        if len(live) == len(self.edges) and width == self.channels:
            return stacked
        if len(live) == 1:
            return stacked[self._block(live[0], width)]
        return torch.cat([stacked[self._block(position, width)] for position in live])


class MixedCell(nn.Module):
    """One cell with every operation on every edge."""

    def __init__(
        self, channels: int, affine: bool, running: bool, partial: int = 1, shuffled: bool = True
    ) -> None:
        super().__init__()
        if channels % partial:
            raise ValueError(f"{channels} channels cannot be split into {partial} equal parts")
        self.partial, self.mixed, self.shuffled = partial, channels // partial, shuffled
        self.exact_zeros = not (affine or running)
        self.conv1 = nn.ModuleList(
            MergedConvolution(self.mixed, 1, edges, affine, running) for edges in OUTGOING
        )
        self.conv3 = nn.ModuleList(
            MergedConvolution(self.mixed, 3, edges, affine, running) for edges in OUTGOING
        )

        # A tuple, which registers nothing: looking modules up by name costs more than small cells do.
        self.merged_convolutions = tuple(
            merged for node in range(3) for merged in (self.conv3[node], self.conv1[node])
        )

    def merged(self, edge: int, operation: int) -> MergedConvolution:
        """Return the merged convolution that holds an edge's convolution."""
        merged = (self.conv3 if operation == CONV3 else self.conv1)[EDGES[edge][0]]
        assert isinstance(merged, MergedConvolution)
        return merged

    def forward(
        self, x: Tensor, mixture: Tensor, active: Active | None, hooks: CellHooks | None, cell: int
    ) -> Tensor:
        """Map [B, C, H, W] to the same shape; see `Supernet` for the arguments."""
        incoming: list[list[Tensor]] = [[], [], [], []]
        for node, edges in enumerate(OUTGOING):
            if node:
                parts = incoming[node]
                # A node that nothing reaches is zero, and stays zero through batch statistics.
                if not parts and self.exact_zeros and hooks is None:
                    continue
                value = sum(parts[1:], parts[0]) if parts else torch.zeros_like(x)
            else:
                value = x
            for edge, y in self._edges(value, node, edges, mixture, active, hooks, cell):
                incoming[EDGES[edge][1]].append(y)
        parts = incoming[3]
        return sum(parts[1:], parts[0]) if parts else torch.zeros_like(x)

    def _edges(
        self,
        x: Tensor,
        node: int,
        edges: Sequence[int],
        mixture: Tensor,
        active: Active | None,
        hooks: CellHooks | None,
        cell: int,
    ) -> list[tuple[int, Tensor]]:
        """Compute what leaves one node: a list of (edge, its weighted mixture)."""
        partial = self.partial if hooks is None or hooks.partial is None else hooks.partial
        width = x.shape[1] // partial
        mixed = x if partial == 1 else x[:, :width]
        total: dict[int, Tensor] = {}

        def live(operation: int) -> list[int]:
            return [i for i, e in enumerate(edges) if active is None or operation in active[e]]

        def add(edge: int, y: Tensor) -> None:
            total[edge] = total[edge] + y if edge in total else y

        rectified: Tensor | None = None
        for operation, merged in ((CONV3, self.conv3[node]), (CONV1, self.conv1[node])):
            if not (positions := live(operation)):
                continue
            rectified = F.relu(mixed) if rectified is None else rectified
            rows = [edges[i] for i in positions]
            hooked = hooks is not None and operation in hooks.touched
            factors = mixture[rows, operation]
            stacked = merged(rectified, None if hooked else factors, positions)
            for i, (edge, y) in enumerate(zip(rows, stacked.chunk(len(rows), dim=1), strict=True)):
                if hooked and hooks is not None:
                    y = factors[i] * hooks.operation(y, cell=cell, edge=edge, operation=operation)
                add(edge, y)
        for operation in (SKIP, POOL):
            if not (positions := live(operation)):
                continue
            y = mixed if operation == SKIP else pool(mixed)
            for edge in (edges[i] for i in positions):
                z = y
                if hooks is not None and operation in hooks.touched:
                    z = hooks.operation(y, cell=cell, edge=edge, operation=operation)
                factor = mixture[edge, operation]
                total[edge] = torch.addcmul(total[edge], z, factor) if edge in total else factor * z
        if partial > 1:
            for edge in edges:
                y = total.get(edge, torch.zeros_like(mixed))
                total[edge] = torch.cat([y, x[:, width:]], dim=1)
                if self.shuffled:
                    total[edge] = shuffle(total[edge], partial)
        if hooks is not None and hooks.edges:
            for edge in edges:
                y = total.get(edge, torch.zeros_like(x))
                total[edge] = hooks.edge(y, x, cell=cell, edge=edge)
        return list(total.items())


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` equal groups (PC-DARTS, arXiv:1907.05737)."""
    batch, channels, height, width = x.shape
    parts = x.view(batch, groups, channels // groups, height, width)
    return parts.transpose(1, 2).reshape(batch, channels, height, width)


class Body(Protocol):
    """A supernet as its kernel and its ranking see it: stem, cells with reductions between, head."""

    compiled: bool
    blocks: nn.ModuleList

    @property
    def stem(self) -> nn.Module:
        """Images to the first cell's input."""

    @property
    def head(self) -> nn.Module:
        """The last cell's output to logits."""
