"""The DARTS supernet, in a form that computes what all edges share only once.

Equal to the textbook form (every operation a module of its own, every edge a weighted sum of all,
see ``tests/spaces/darts_textbook.py``) to rounding. At C=4, 5 layers and 16x16 on one thread a step of
both updates is 2.5 times as fast with all eight operations, 2.1 times in S2
(``benchmarks/test_darts_step.py``); see `bench.spaces.darts.merged_operations` for what is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active, Portion, Supernet
from bench.spaces.darts import skeleton
from bench.spaces.darts.genotypes import NOISE, edges
from bench.spaces.darts.merged_operations import Outgoing
from bench.spaces.nb201.mixed_cell import shuffle
from bench.spaces.nb201.skeleton import initialise, statistics_from


class MixedCell(nn.Module):
    """One cell with every operation on every edge.

    Parameters
    ----------
    present
        For every row of alpha, the indices of its operations.
    """

    def __init__(
        self,
        layer: skeleton.Layer,
        nodes: int,
        operations: Sequence[str],
        present: Sequence[Sequence[int]],
        combine: str,
        running: bool,
        partial: int,
        shuffled: bool,
    ) -> None:
        super().__init__()
        if layer.width % partial:
            raise ValueError(f"{layer.width} channels cannot be split into {partial} equal parts")
        self.nodes, self.combine, self.reduction = nodes, combine, layer.reduction
        self.partial, self.mixed, self.shuffled = partial, layer.width // partial, shuffled
        self.noise = operations.index(NOISE) if NOISE in operations else None
        first = len(edges(nodes)) if layer.reduction else 0
        self.targets = {first + i: target for i, (_, target) in enumerate(edges(nodes))}
        self.preprocess = skeleton.preprocessing(layer, affine=False, running=running)
        self.outgoing = nn.ModuleList()
        for node in range(nodes + 1):
            own = [first + i for i, (source, _) in enumerate(edges(nodes)) if source == node]
            self.outgoing.append(
                Outgoing(
                    self.mixed,
                    2 if layer.reduction and node < 2 else 1,
                    own,
                    [present[edge] for edge in own],
                    operations,
                    running,
                )
            )

    def forward(
        self,
        before: Tensor,
        last: Tensor,
        mixture: Tensor,
        active: Active | None,
        hooks: CellHooks | None,
        cell: int,
    ) -> Tensor:
        """Map the outputs of the two layers before to this one's; see `Supernet`."""
        inputs = [part(x) for part, x in zip(self.preprocess, (before, last), strict=True)]
        totals: dict[int, Tensor] = {}
        for node, outgoing in enumerate(self.outgoing):
            assert isinstance(outgoing, Outgoing)
            x = inputs[node] if node < 2 else self._node(totals, node, inputs[1])
            for edge, y in self._edges(x, outgoing, mixture, active, hooks, cell):
                target = self.targets[edge]
                totals[target] = totals[target] + y if target in totals else y
        found = [self._node(totals, node, inputs[1]) for node in range(2, self.nodes + 2)]
        return skeleton.join(found, self.combine)

    def _node(self, totals: dict[int, Tensor], node: int, x: Tensor) -> Tensor:
        """Return a node's sum; zero where nothing reaches it."""
        if node not in totals:
            stride = 2 if self.reduction else 1
            totals[node] = torch.zeros_like(x[:, :, ::stride, ::stride])
        return totals[node]

    def _edges(
        self,
        x: Tensor,
        outgoing: Outgoing,
        mixture: Tensor,
        active: Active | None,
        hooks: CellHooks | None,
        cell: int,
    ) -> list[tuple[int, Tensor]]:
        """Compute what leaves one node: weighted mixtures, one or more for an edge to be summed."""
        touched: frozenset[int] = frozenset() if hooks is None else hooks.touched
        whole = self.partial > 1 or (hooks is not None and hooks.edges)
        totals: dict[int, Tensor] = {}

        def runs(edge: int, operation: int) -> bool:
            return active is None or operation in active[edge]

        mixed = x if self.partial == 1 else x[:, : self.mixed]
        for edge, operation, y, weighted in outgoing(mixed, mixture, runs, touched):
            if operation == self.noise and operation not in touched:
                raise ValueError("noise is drawn by the search; run this supernet with its hooks")
            if operation in touched and hooks is not None:
                y = hooks.operation(y, cell=cell, edge=edge, operation=operation)
            # What an edge is asked about as a whole is summed by edge, all else by node.
            key = edge if whole else self.targets[edge]
            factor = None if weighted else mixture[edge, operation]
            if key not in totals:
                totals[key] = y if factor is None else factor * y
            elif factor is None:
                totals[key] = totals[key] + y
            else:
                totals[key] = torch.addcmul(totals[key], y, factor)
        if not whole:
            first = {self.targets[edge]: edge for edge in outgoing.edges}
            return [(first[target], y) for target, y in totals.items()]
        return self._whole(x, outgoing, totals, hooks, cell)

    def _whole(
        self,
        x: Tensor,
        outgoing: Outgoing,
        totals: dict[int, Tensor],
        hooks: CellHooks | None,
        cell: int,
    ) -> list[tuple[int, Tensor]]:
        """Let channels that are not mixed bypass, and variants transform whole edges."""
        stride = outgoing.stride
        nothing = torch.zeros_like(x[:, : self.mixed, ::stride, ::stride])
        bypass = x[:, self.mixed :]
        if self.partial > 1 and stride == 2:
            bypass = F.max_pool2d(bypass, 2)  # as in the code of PC-DARTS
        asked = hooks is not None and hooks.edges
        seen = F.avg_pool2d(x, 2) if asked and stride == 2 else x
        found = []
        for edge in outgoing.edges:
            y = totals.get(edge, nothing)
            if self.partial > 1:
                y = torch.cat([y, bypass], dim=1)
                y = shuffle(y, self.partial) if self.shuffled else y
            if asked and hooks is not None:
                y = hooks.edge(y, seen, cell=cell, edge=edge)
            found.append((edge, y))
        return found


class DartsSupernet(Supernet):
    """Stem, mixed normal and reduction cells, classifier.

    Memory: what a forward pass keeps for the backward one is dominated by the inputs of pointwise
    convolutions and batch norms, some three tensors of the size of a node for each depthwise
    convolution of an edge; pools are kept once per node. At C=4, 5 layers and batch 32 of 16x16 that
    is 92 MB (the textbook form: 155 MB), in S2 35 MB (46 MB); it grows in proportion to C, layers,
    batch and pixels. ``benchmarks/test_darts_step.py`` counts it.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        channels: int,
        layers: int,
        nodes: int,
        operations: Sequence[str],
        present: Sequence[Sequence[int]],
        combine: str,
        running: bool,
        generator: torch.Generator,
        partial: int = 1,
        shuffled: bool = True,
    ) -> None:
        super().__init__()
        joined = nodes if combine == "concat" else 1
        self.stem = skeleton.Stem(in_channels, channels, running)
        plan = list(skeleton.plan(channels, layers, joined))
        self.cells = nn.ModuleList(
            MixedCell(layer, nodes, operations, present, combine, running, partial, shuffled)
            for layer in plan
        )
        self.classifier = nn.Linear(joined * plan[-1].width, classes)
        initialise(self, generator)

    def forward(
        self,
        images: Tensor,
        mixture: Tensor,
        active: Active | None = None,
        hooks: CellHooks | None = None,
    ) -> Tensor:
        """Return logits [B, classes]; see `Supernet`."""
        before = last = self.stem(images)
        for i, cell in enumerate(self.cells):
            before, last = last, cell(before, last, mixture, active, hooks, i)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits

    def operations(self) -> Iterator[list[Portion]]:
        """See `Supernet.operations`."""
        for module in self.modules():
            if isinstance(module, Outgoing):
                yield from module.operations()

    def statistics_from(self, rows: int | None) -> AbstractContextManager[None]:
        """See `Supernet.statistics_from`."""
        return statistics_from(self, rows)
