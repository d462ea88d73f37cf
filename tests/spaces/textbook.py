"""The NAS-Bench-201 supernet as one would write it down first: the oracle, slow on purpose.

Every operation of every edge is a module of its own, every edge computes all five, and the mixture
weights multiply their outputs. Built independently of `bench`; only `copy_from` knows the fast form.
"""

from __future__ import annotations

import torch
from torch import nn

EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


class Zero(nn.Module):
    def forward(self, x):
        return x.mul(0.0)


def relu_conv_bn(c_in, c_out, kernel, stride, affine, running):
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out, affine=affine, track_running_stats=running),
    )


class MixedEdge(nn.Module):
    def __init__(self, c, affine, running):
        super().__init__()
        self.ops = nn.ModuleList(
            [
                Zero(),
                nn.Identity(),
                relu_conv_bn(c, c, 1, 1, affine, running),
                relu_conv_bn(c, c, 3, 1, affine, running),
                nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
            ]
        )

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self.ops, strict=True))


class Cell(nn.Module):
    def __init__(self, c, affine, running):
        super().__init__()
        self.edges = nn.ModuleList([MixedEdge(c, affine, running) for _ in EDGES])

    def forward(self, x, weights):
        nodes = [x]
        for target in (1, 2, 3):
            nodes.append(
                sum(
                    self.edges[e](nodes[source], weights[e])
                    for e, (source, to) in enumerate(EDGES)
                    if to == target
                )
            )
        return nodes[3]


class Residual(nn.Module):
    def __init__(self, c_in, c_out, running):
        super().__init__()
        self.a = relu_conv_bn(c_in, c_out, 3, 2, True, running)
        self.b = relu_conv_bn(c_out, c_out, 3, 1, True, running)
        self.down = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x):
        return self.down(x) + self.b(self.a(x))


class TextbookSupernet(nn.Module):
    def __init__(self, in_channels, classes, c, n, affine=False, running=False):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, c, 3, padding=1, bias=False),
            nn.BatchNorm2d(c, track_running_stats=running),
        )
        blocks: list[nn.Module] = []
        for stage in range(3):
            if stage:
                blocks.append(Residual(c * 2 ** (stage - 1), c * 2**stage, running))
            blocks += [Cell(c * 2**stage, affine, running) for _ in range(n)]
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(4 * c, track_running_stats=running), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4 * c, classes)

    def forward(self, images, weights):
        x = self.stem(images)
        for block in self.blocks:
            x = block(x, weights) if isinstance(block, Cell) else block(x)
        return self.classifier(self.pool(self.last(x)).flatten(1))

    def pairs(self, fast):
        """Yield (own parameter, function reading the same from the fast form's tensors by name)."""
        yield self.stem[0].weight, "stem.conv.weight", None
        yield self.stem[1].weight, "stem.norm.weight", None
        yield self.stem[1].bias, "stem.norm.bias", None
        for b, block in enumerate(self.blocks):
            if isinstance(block, Residual):
                for mine, theirs in (("a", "a"), ("b", "b")):
                    sequence = getattr(block, mine)
                    yield sequence[1].weight, f"blocks.{b}.conv_{theirs}.weight", None
                    yield sequence[2].weight, f"blocks.{b}.norm_{theirs}.weight", None
                    yield sequence[2].bias, f"blocks.{b}.norm_{theirs}.bias", None
                yield block.down[1].weight, f"blocks.{b}.shortcut.weight", None
                continue
            for e, (source, _) in enumerate(EDGES):
                siblings = [k for k, (s, _) in enumerate(EDGES) if s == source]
                for op, kernel in ((2, 1), (3, 3)):
                    module = block.edges[e].ops[op]
                    c = module[1].weight.shape[0]
                    at = siblings.index(e)
                    rows = slice(at * c, (at + 1) * c)
                    prefix = f"blocks.{b}.conv{kernel}.{source}"
                    yield module[1].weight, f"{prefix}.weight", rows
                    if module[2].affine:
                        yield module[2].weight, f"{prefix}.scale", rows
                        yield module[2].bias, f"{prefix}.shift", rows
        yield self.last[0].weight, "head.norm.weight", None
        yield self.last[0].bias, "head.norm.bias", None
        yield self.classifier.weight, "head.classifier.weight", None
        yield self.classifier.bias, "head.classifier.bias", None

    @torch.no_grad()
    def copy_from(self, fast):
        parameters = dict(fast.named_parameters())
        for own, name, rows in self.pairs(fast):
            source = parameters[name]
            own.copy_(source if rows is None else source[rows])
