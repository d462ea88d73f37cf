"""One genotype as a network of its own: what discretisation ends in and evaluation trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contracts.space import Standalone
from bench.spaces.darts import skeleton
from bench.spaces.darts.genotypes import ABSENT, NOISE, Architecture, edges
from bench.spaces.darts.merged_operations import KERNELS, POOLS, SEPARABLE, Outgoing, pool
from bench.spaces.darts.supernet import DartsSupernet, MixedCell
from bench.spaces.nb201.skeleton import Norm, initialise

AUXILIARY = (128, 768)
"""Channels of the auxiliary head's two convolutions."""


class DepthwiseNorm(nn.Module):
    """ReLU, depthwise and pointwise convolution, batch norm."""

    def __init__(
        self, channels: int, kernel: int, dilation: int, stride: int, affine: bool, running: bool
    ) -> None:
        super().__init__()
        self.depth = nn.Conv2d(
            channels,
            channels,
            kernel,
            stride,
            dilation * (kernel // 2),
            dilation,
            groups=channels,
            bias=False,
        )
        self.point = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = Norm(channels, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C, H/stride, W/stride]."""
        y: Tensor = self.norm(self.point(self.depth(F.relu(x))))
        return y


class Pool(nn.Module):
    """3x3 pooling, with the batch norm that follows it in the search but not in evaluation."""

    def __init__(self, name: str, stride: int, norm: nn.Module) -> None:
        super().__init__()
        self.name, self.stride, self.norm = name, stride, norm

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C, H/stride, W/stride]."""
        y: Tensor = self.norm(pool(x, self.name, self.stride))
        return y


class Noise(nn.Module):
    """N(0, 1) of the size of what comes in; drawn by the network that it is part of."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.draws: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to noise [B, C, H/stride, W/stride]."""
        y = torch.empty_like(x[:, :, :: self.stride, :: self.stride])
        return y.normal_(generator=self.draws)


def operation(
    name: str, channels: int, stride: int, affine: bool, running: bool, normed_pools: bool
) -> nn.Module:
    """Build one operation of a genotype."""
    if name in KERNELS:
        kernel, dilation = KERNELS[name]
        first = DepthwiseNorm(channels, kernel, dilation, stride, affine, running)
        if name not in SEPARABLE:
            return first
        return nn.Sequential(first, DepthwiseNorm(channels, kernel, 1, 1, affine, running))
    if name in POOLS:
        norm = Norm(channels, affine=False, track_running_stats=running)
        return Pool(name, stride, norm if normed_pools else nn.Identity())
    if name == NOISE:
        return Noise(stride)
    if stride == 2:
        return skeleton.FactorisedReduction(channels, channels, affine, running)
    return nn.Identity()


class Cell(nn.Module):
    """A discretised cell: two operations per node, nodes sum, the output joins the nodes."""

    def __init__(
        self,
        layer: skeleton.Layer,
        chosen: Sequence[tuple[int, int, int, str]],
        combine: str,
        affine: bool,
        running: bool,
        normed_pools: bool,
    ) -> None:
        super().__init__()
        self.chosen, self.combine = tuple(chosen), combine
        self.preprocess = skeleton.preprocessing(layer, affine, running)
        self.operations = nn.ModuleList(
            operation(
                name,
                layer.width,
                2 if layer.reduction and source < 2 else 1,
                affine,
                running,
                normed_pools,
            )
            for _, source, _, name in chosen
        )

    def forward(
        self, before: Tensor, last: Tensor, drop_path: float, draws: torch.Generator | None
    ) -> Tensor:
        """Map the outputs of the two layers before to this one's."""
        nodes = dict(enumerate(p(x) for p, x in zip(self.preprocess, (before, last), strict=True)))
        for (_, source, target, _), module in zip(self.chosen, self.operations, strict=True):
            y = module(nodes[source])
            if drop_path and not isinstance(module, nn.Identity):
                kept = torch.empty_like(y[:, :1, :1, :1]).bernoulli_(1 - drop_path, generator=draws)
                y = y * kept.div_(1 - drop_path)
            nodes[target] = nodes[target] + y if target in nodes else y
        return skeleton.join([nodes[node] for node in sorted(nodes)[2:]], self.combine)


class AuxiliaryHead(nn.Module):
    """The classifier after the second reduction that helps training and is left out of counts.

    Built for 8x8 features, as in the original code; features of other sizes are averaged to the 2x2
    that its pooling makes of them.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        first, second = AUXILIARY
        self.conv1, self.norm1 = nn.Conv2d(inputs, first, 1, bias=False), nn.BatchNorm2d(first)
        self.conv2, self.norm2 = nn.Conv2d(first, second, 2, bias=False), nn.BatchNorm2d(second)
        self.classifier = nn.Linear(second, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, 8, 8] to logits [B, classes]."""
        usual = x.shape[-2:] == (8, 8)
        x = F.relu(x)
        x = F.avg_pool2d(x, 5, stride=3) if usual else F.adaptive_avg_pool2d(x, 2)
        x = F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


class DartsNetwork(Standalone):
    """The network of one genotype.

    Parameters
    ----------
    affine, running
        Of the cells' batch norms; the stem's is always affine.
    normed_pools
        Whether pools end in a batch norm, as in the search.
    auxiliary
        Whether it has an auxiliary head.
    """

    drops_paths = True

    def __init__(
        self,
        architecture: Architecture,
        operations: Sequence[str],
        in_channels: int,
        classes: int,
        channels: int,
        layers: int,
        nodes: int,
        combine: str,
        affine: bool,
        running: bool,
        normed_pools: bool,
        generator: torch.Generator,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        joined, count = nodes if combine == "concat" else 1, len(edges(nodes))
        chosen = [
            (row, *edges(nodes)[row % count], operations[o])
            for row, o in enumerate(architecture)
            if o != ABSENT
        ]
        self.stem = skeleton.Stem(in_channels, channels, running)
        plan = list(skeleton.plan(channels, layers, joined))
        self.cells = nn.ModuleList(
            Cell(
                layer,
                [c for c in chosen if (c[0] >= count) == layer.reduction],
                combine,
                affine,
                running,
                normed_pools,
            )
            for layer in plan
        )
        self.classifier = nn.Linear(joined * plan[-1].width, classes)
        self.second = 2 * layers // 3
        width = joined * plan[self.second].width
        self.auxiliary = AuxiliaryHead(width, classes) if auxiliary else None
        initialise(self, generator)

    def count(self) -> int:
        """See `Standalone.count`."""
        head = [] if self.auxiliary is None else list(self.auxiliary.parameters())
        return super().count() - sum(parameter.numel() for parameter in head)

    def both(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Standalone.both`."""
        for module in self.modules():
            if isinstance(module, Noise):
                module.draws = self.draws
        before = last = self.stem(images)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            drop = self.drop_path if self.training else 0.0
            before, last = last, cell(before, last, drop, self.draws)
            if i == self.second and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(last)
        return self.classifier(last.mean(dim=(2, 3))), auxiliary

    @torch.no_grad()
    def inherit(self, supernet: DartsSupernet) -> None:
        """Copy the weights that the supernet holds for this genotype, batch norms included."""
        self.stem.load_state_dict(supernet.stem.state_dict())
        self.classifier.load_state_dict(supernet.classifier.state_dict())
        for own, shared in zip(self.cells, supernet.cells, strict=True):
            assert isinstance(own, Cell) and isinstance(shared, MixedCell)
            own.preprocess.load_state_dict(shared.preprocess.state_dict())
            for (edge, source, _, name), module in zip(own.chosen, own.operations, strict=True):
                outgoing = shared.outgoing[source]
                assert isinstance(outgoing, Outgoing)
                for key, statistics in outgoing.statistics(edge, name).items():
                    norm = _norm(module, key)
                    own_statistics = (norm.running_mean, norm.running_var)
                    for mine, theirs in zip(own_statistics, statistics, strict=True):
                        assert mine is not None
                        mine.copy_(theirs)
                weights = outgoing.weights(edge, name)
                stages = list(module) if isinstance(module, nn.Sequential) else [module]
                for stage, number in zip(stages, "12", strict=False):
                    if isinstance(stage, DepthwiseNorm):
                        stage.depth.weight.copy_(weights[f"depth{number}"])
                        stage.point.weight.copy_(weights[number])
                if isinstance(module, skeleton.FactorisedReduction):
                    module.weight.copy_(weights["reduce"])


def _norm(module: nn.Module, key: str) -> Norm:
    """Return the batch norm of an operation that the supernet knows by ``key``."""
    stage = module[int(key) - 1] if isinstance(module, nn.Sequential) else module
    assert isinstance(stage, DepthwiseNorm | Pool | skeleton.FactorisedReduction)
    assert isinstance(stage.norm, Norm)
    return stage.norm
