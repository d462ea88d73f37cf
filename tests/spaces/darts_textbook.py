"""The DARTS supernet as its original code writes it: the oracle, slow on purpose.

Every operation of every edge is a module of its own, every edge computes all of its operations, and
the mixture weights multiply their outputs. Only `copy_from` and `pairs` know the fast form.
"""

from __future__ import annotations

import torch
from torch import nn


def bn(c, running, affine=False):
    return nn.BatchNorm2d(c, affine=affine, track_running_stats=running)


def depthwise(c, k, stride, pad, dilation, running):
    return [
        nn.ReLU(),
        nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False),
        nn.Conv2d(c, c, 1, bias=False),
        bn(c, running),
    ]


class FactorizedReduce(nn.Module):
    def __init__(self, c_in, c_out, running):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.bn = bn(c_out, running)

    def forward(self, x):
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


def build(name, c, s, r):
    return {
        "none": lambda: Zero(s),
        "max_pool_3x3": lambda: nn.Sequential(nn.MaxPool2d(3, s, 1), bn(c, r)),
        "avg_pool_3x3": lambda: nn.Sequential(
            nn.AvgPool2d(3, s, 1, count_include_pad=False), bn(c, r)
        ),
        "skip_connect": lambda: nn.Identity() if s == 1 else FactorizedReduce(c, c, r),
        "sep_conv_3x3": lambda: nn.Sequential(
            *depthwise(c, 3, s, 1, 1, r), *depthwise(c, 3, 1, 1, 1, r)
        ),
        "sep_conv_5x5": lambda: nn.Sequential(
            *depthwise(c, 5, s, 2, 1, r), *depthwise(c, 5, 1, 2, 1, r)
        ),
        "dil_conv_3x3": lambda: nn.Sequential(*depthwise(c, 3, s, 2, 2, r)),
        "dil_conv_5x5": lambda: nn.Sequential(*depthwise(c, 5, s, 4, 2, r)),
    }[name]()


class Cell(nn.Module):
    def __init__(self, steps, present, c_pp, c_p, c, reduction, reduction_prev, combine, r):
        super().__init__()
        self.reduction, self.steps, self.combine = reduction, steps, combine

        def relu_conv_bn(c_in):
            return nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c, 1, bias=False), bn(c, r))

        self.preprocess0 = FactorizedReduce(c_pp, c, r) if reduction_prev else relu_conv_bn(c_pp)
        self.preprocess1 = relu_conv_bn(c_p)
        self.edges = nn.ModuleList()
        for i in range(steps):
            for j in range(2 + i):
                stride = 2 if reduction and j < 2 else 1
                names = present[len(self.edges)]
                self.edges.append(
                    nn.ModuleDict({name: build(name, c, stride, r) for name in names})
                )

    def forward(self, s0, s1, weights, operations):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        offset = 0
        for _ in range(self.steps):
            total = 0
            for j, h in enumerate(states):
                for name, module in self.edges[offset + j].items():
                    total = total + weights[offset + j][operations.index(name)] * module(h)
            offset += len(states)
            states.append(total)
        return torch.cat(states[2:], dim=1) if self.combine == "concat" else sum(states[2:])


class TextbookSupernet(nn.Module):
    def __init__(
        self, in_channels, classes, c, layers, steps, operations, present, combine="concat", r=False
    ):
        super().__init__()
        self.operations, multiplier = operations, steps if combine == "concat" else 1
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 3 * c, 3, padding=1, bias=False), bn(3 * c, r, affine=True)
        )
        self.half = len(present) // 2
        c_pp, c_p, c_curr, previous = 3 * c, 3 * c, c, False
        self.cells = nn.ModuleList()
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            c_curr *= 2 if reduction else 1
            own = present[self.half :] if reduction else present[: self.half]
            cell = Cell(steps, own, c_pp, c_p, c_curr, reduction, previous, combine, r)
            self.cells.append(cell)
            c_pp, c_p, previous = c_p, multiplier * c_curr, reduction
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(c_p, classes)

    def forward(self, images, mixture):
        s0 = s1 = self.stem(images)
        for cell in self.cells:
            weights = mixture[self.half :] if cell.reduction else mixture[: self.half]
            s0, s1 = s1, cell(s0, s1, weights, self.operations)
        return self.classifier(self.pooling(s1).flatten(1))

    def pairs(self, fast, of):
        """Yield (own tensor, the fast form's) with ``of`` read off the fast form's parameters."""
        yield self.stem[0].weight, of(fast.stem.conv.weight)
        yield self.stem[1].weight, of(fast.stem.norm.weight)
        yield self.stem[1].bias, of(fast.stem.norm.bias)
        yield self.classifier.weight, of(fast.classifier.weight)
        yield self.classifier.bias, of(fast.classifier.bias)

        def halves(module, weight):
            cut = weight.shape[0] // 2
            return (module.conv_1.weight, weight[:cut]), (module.conv_2.weight, weight[cut:])

        for own, shared in zip(self.cells, fast.cells, strict=True):
            for mine, theirs in zip(
                (own.preprocess0, own.preprocess1), shared.preprocess, strict=True
            ):
                if isinstance(mine, FactorizedReduce):
                    yield from halves(mine, of(theirs.weight))
                else:
                    yield mine[1].weight, of(theirs.conv.weight)
            first, e = (self.half if own.reduction else 0), 0
            for i in range(own.steps):
                for j in range(2 + i):
                    outgoing, edge = shared.outgoing[j], own.edges[e]
                    for name, module in edge.items():
                        weights = _view(outgoing, first + e, name, of)
                        if isinstance(module, FactorizedReduce):
                            yield from halves(module, weights["reduce"])
                        elif "conv" in name:
                            yield module[1].weight, weights["depth1"]
                            yield module[2].weight, weights["1"]
                            if name.startswith("sep"):
                                yield module[5].weight, weights["depth2"]
                                yield module[6].weight, weights["2"]
                    e += 1

    @torch.no_grad()
    def copy_from(self, fast):
        for mine, theirs in self.pairs(fast, lambda p: p):
            mine.copy_(theirs)


def _view(outgoing, edge, name, of):
    """Return what `Outgoing.weights` does, of gradients where ``of`` gives these."""
    replaced = {}
    for part in (outgoing.depth1, outgoing.depth2, outgoing.points):
        for parameter in part.values():
            replaced[id(parameter)] = of(parameter)
    names = {"depth1": outgoing.depth1, "depth2": outgoing.depth2}
    c, found = outgoing.channels, {}
    for key, stage in names.items():
        if name in stage:
            rows = [e for e in outgoing.edges if outgoing.names.index(name) in outgoing.present[e]]
            at = rows.index(edge) * c
            found[key] = replaced[id(stage[name])][at : at + c]
    for key, blocks in outgoing.places.items():
        if (name, edge) in blocks:
            at = blocks.index((name, edge)) * c
            found[key] = replaced[id(outgoing.points[key])][at : at + c]
    return found
