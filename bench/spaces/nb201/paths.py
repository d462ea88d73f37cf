"""Many single-path networks of one supernet, evaluated together: the fast side of ranking.

Only edges between input and output are run, and what cells share is computed once: the stem for
all, and in the first cell, whose input is the same for all, every node that a prefix of the cell
determines. Cells are visited in an order in which prefixes stay together, so that a handful of
tensors is kept, however many cells there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.spaces.nb201 import cells, fused
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES, NONE, POOL, SKIP
from bench.spaces.nb201.mixed_cell import OUTGOING, Body, MixedCell, pool


def logits(
    supernet: Body, images: Tensor, paths: Sequence[cells.Cell]
) -> Iterator[tuple[int, Tensor]]:
    """Yield (position in ``paths``, logits [B, classes]) for every cell, in an order of its own.

    Equal to ``supernet(images, one_hot, active)`` to rounding; under ``torch.no_grad`` only.
    """
    ones = images.new_ones(len(EDGES), len(cells.OPERATIONS))
    compiled = supernet.compiled and fused.applies(supernet, images, ones)
    if compiled:
        images = images.contiguous(memory_format=torch.channels_last)
    stem = supernet.stem(images)
    first = _FirstCell(supernet.blocks[0], stem)  # type: ignore[arg-type]
    pruned = [_prune(cell) if _exact(supernet) else cell for cell in paths]
    # Sorted, cells with the same node 1, then with the same node 2, are neighbours.
    last, y = None, stem
    for position in sorted(range(len(paths)), key=lambda i: pruned[i]):
        if pruned[position] != last:
            last, x = pruned[position], first(pruned[position])
            runs = [[] if operation == NONE else [operation] for operation in last]
            for block in supernet.blocks[1:]:
                if not isinstance(block, MixedCell):
                    x = block(x)
                else:
                    x = fused.mixed(block, x, ones, runs) if compiled else path(block, x, last)
            y = supernet.head(x)
        yield position, y


def _exact(supernet: Body) -> bool:
    """Say whether a dead edge contributes nothing: then it need not be run."""
    return all(block.exact_zeros for block in supernet.blocks if isinstance(block, MixedCell))


def _prune(cell: cells.Cell) -> cells.Cell:
    """Replace dead edges by `none`."""
    return tuple(o if on else NONE for o, on in zip(cell, cells.live(cell), strict=True))


def _operation(block: MixedCell, x: Tensor, edge: int, operation: int) -> Tensor:
    """Return the output of one operation of one edge."""
    if operation == SKIP:
        return x
    if operation == POOL:
        return pool(x)
    merged = block.merged(edge, operation)
    y: Tensor = merged(F.relu(x), None, [merged.edges.index(edge)])
    return y


class _FirstCell:
    """The first cell for many paths, with what the last path left in memory.

    Node 1 depends on the first operation, node 2 on the first three; what leaves the input, node
    1 and node 2 towards the output is kept as long as these stay the same.
    """

    def __init__(self, block: MixedCell, x: Tensor) -> None:
        self.block = block
        self.nodes: list[Tensor | None] = [x, None, None]
        self.keys: list[tuple[int, ...]] = [(), (-1,), (-1,)]
        self.kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, cell: cells.Cell) -> Tensor:
        for node, key in ((1, cell[:1]), (2, cell[:3])):
            if self.keys[node] != key:
                self.keys[node] = key
                for edge in OUTGOING[node]:
                    for operation in range(len(cells.OPERATIONS)):
                        self.kept.pop((edge, operation), None)
                self.nodes[node] = self._sum(cell, node)
        output = self._sum(cell, 3)
        return torch.zeros_like(self.nodes[0]) if output is None else output  # type: ignore[arg-type]

    def _sum(self, cell: cells.Cell, target: int) -> Tensor | None:
        total: Tensor | None = None
        for edge, (source, to) in enumerate(EDGES):
            if to != target or cell[edge] == NONE:
                continue
            x = self.nodes[source]
            if x is None:
                if self.block.exact_zeros:
                    continue
                x = torch.zeros_like(self.nodes[0])  # type: ignore[arg-type]
            y = self.kept.get((edge, cell[edge]))
            if y is None:
                y = self.kept[edge, cell[edge]] = _operation(self.block, x, edge, cell[edge])
            total = y if total is None else total + y
        return total


def path(block: MixedCell, x: Tensor, cell: cells.Cell) -> Tensor:
    """Run one path through a cell: its convolutions merged by source, sums in place."""
    totals: list[Tensor | None] = [x, None, None, None]
    owned = [False] * 4  # whether a total is this function's to write to

    def add(target: int, y: Tensor, fresh: bool) -> None:
        total = totals[target]
        if total is None:
            totals[target], owned[target] = y, fresh
        elif owned[target]:
            total.add_(y)
        else:
            totals[target], owned[target] = total + y, True

    for node, edges in enumerate(OUTGOING):
        value = totals[node]
        if value is None:
            if block.exact_zeros:
                continue
            value = torch.zeros_like(x)
        rectified: Tensor | None = None
        for operation, merged in ((CONV3, block.conv3[node]), (CONV1, block.conv1[node])):
            rows = [i for i, edge in enumerate(edges) if cell[edge] == operation]
            if rows:
                rectified = F.relu(value) if rectified is None else rectified
                parts = merged(rectified, None, rows).chunk(len(rows), dim=1)
                for i, y in zip(rows, parts, strict=True):
                    add(EDGES[edges[i]][1], y, fresh=True)
        pooled: Tensor | None = None
        for edge in edges:
            if cell[edge] == SKIP:
                add(EDGES[edge][1], value, fresh=False)
            elif cell[edge] == POOL:
                pooled = pool(value) if pooled is None else pooled
                add(EDGES[edge][1], pooled, fresh=False)
    output = totals[3]
    return torch.zeros_like(x) if output is None else output
