"""The NAS-Bench-201 supernet: stem, mixed cells with reductions between the stages, head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active, Architecture, Portion, Supernet
from bench.spaces.nb201 import fused, paths, skeleton
from bench.spaces.nb201.mixed_cell import MergedConvolution, MixedCell


class NB201Supernet(Supernet):
    """Stem, mixed cells with reductions between the stages, head."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        channels: int,
        cells_per_stage: int,
        affine: bool,
        running: bool,
        generator: torch.Generator,
        partial: int = 1,
        shuffled: bool = True,
    ) -> None:
        super().__init__()
        self.stem = skeleton.Stem(in_channels, channels, running)
        self.blocks = nn.ModuleList(
            MixedCell(width, affine, running, partial, shuffled)
            if kind == "cell"
            else skeleton.Reduction(width // 2, width, running)
            for kind, width in skeleton.plan(channels, cells_per_stage)
        )
        self.head = skeleton.Head(4 * channels, classes, running)
        skeleton.initialise(self, generator)

    def forward(
        self,
        images: Tensor,
        mixture: Tensor,
        active: Active | None = None,
        hooks: CellHooks | None = None,
    ) -> Tensor:
        """Return logits [B, classes]; see `Supernet`."""
        compiled = self.compiled and fused.applies(self, images, mixture, hooks)
        if compiled:
            images = images.contiguous(memory_format=torch.channels_last)
        x, cell = self.stem(images), 0
        for block in self.blocks:
            if isinstance(block, MixedCell):
                if compiled:
                    x = fused.mixed(block, x, mixture, active, hooks, cell)
                else:
                    x = block(x, mixture, active, hooks, cell)
                cell += 1
            else:
                x = block(x)
        logits: Tensor = self.head(x)
        return logits

    def operations(self) -> Iterator[list[Portion]]:
        """See `Supernet.operations`."""
        cells = [block for block in self.blocks if isinstance(block, MixedCell)]
        for cell in cells:
            for merged in (*cell.conv3, *cell.conv1):
                assert isinstance(merged, MergedConvolution)
                parts = (merged.weight, merged.scale, merged.shift)
                for edge in merged.edges:
                    yield [(part, merged.rows_of(edge)) for part in parts if part is not None]

    def prepare_kernel(self) -> bool:
        """See `Supernet.prepare_kernel`."""
        return fused.fits(self)

    def widen(
        self,
        before: int,
        after: int,
        momentum: Callable[[Tensor], Tensor | None],
        generator: torch.Generator,
    ) -> None:
        """See `Supernet.widen`."""
        for block in self.blocks:
            if isinstance(block, MixedCell):
                channels = block.mixed * block.partial
                for merged in (*block.conv3, *block.conv1):
                    assert isinstance(merged, MergedConvolution)
                    merged.widen(channels // before, channels // after, momentum, generator)

    def statistics_from(self, rows: int | None) -> AbstractContextManager[None]:
        """See `Supernet.statistics_from`."""
        return skeleton.statistics_from(self, rows)

    def paths(
        self, images: Tensor, architectures: Sequence[Architecture]
    ) -> Iterator[tuple[int, Tensor]]:
        """See `Supernet.paths`; shares the stem and prefixes of the first cell."""
        if any(isinstance(block, MixedCell) and block.partial > 1 for block in self.blocks):
            return super().paths(images, architectures)
        return paths.logits(self, images, architectures)
