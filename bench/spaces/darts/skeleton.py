"""The frame of a DARTS network around its cells: which layers reduce, widths, stem, preprocessing.

As in Liu et al. 2019 (arXiv:1806.09055) for CIFAR-10: a 3x3 stem of 3C channels without stride,
layers that read the outputs of the two layers before them, reductions at a third and two thirds of
the depth, where the width doubles, global average pooling and a linear classifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.spaces.nb201.skeleton import Norm, convolution

STEM = 3
"""The stem has so many times C channels."""


@dataclass(frozen=True)
class Layer:
    """One cell of the network.

    Attributes
    ----------
    before, last
        Channels of its two inputs, the older one first.
    width
        Channels of each of its nodes.
    reduction, after_reduction
        Whether it halves the resolution, and whether the layer before it did.
    """

    before: int
    last: int
    width: int
    reduction: bool
    after_reduction: bool


def plan(channels: int, layers: int, joined: int) -> Iterator[Layer]:
    """Yield the layers; a cell's output has ``joined`` times its width."""
    before = last = STEM * channels
    width, after = channels, False
    for i in range(layers):
        reduction = i in (layers // 3, 2 * layers // 3)
        width *= 2 if reduction else 1
        yield Layer(before, last, width, reduction, after)
        before, last, after = last, joined * width, reduction


def factorised(x: Tensor, weight: Tensor) -> Tensor:
    """Reduce by two: 1x1 convolutions of even and of odd pixels, half of the outputs each.

    Parameters
    ----------
    x
        After ReLU [B, in, H, W], H and W even.
    weight
        [out, in, 1, 1]; the first half reads even pixels.
    """
    half = weight.shape[0] // 2
    parts = ((x[:, :, ::2, ::2], weight[:half]), (x[:, :, 1::2, 1::2], weight[half:]))
    return torch.cat([F.conv2d(pixels, part) for pixels, part in parts if len(part)], dim=1)


class FactorisedReduction(nn.Module):
    """ReLU, factorised reduction, batch norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.norm = Norm(outputs, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H/2, W/2]."""
        y: Tensor = self.norm(factorised(F.relu(x), self.weight))
        return y


class Preprocess(nn.Module):
    """ReLU, 1x1 convolution, batch norm: brings an input to the cell's width."""

    def __init__(self, inputs: int, outputs: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.conv = convolution(inputs, outputs, 1)
        self.norm = Norm(outputs, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H, W]."""
        y: Tensor = self.norm(self.conv(F.relu(x)))
        return y


def preprocessing(layer: Layer, affine: bool, running: bool) -> nn.ModuleList:
    """Return what brings a layer's two inputs to one width and resolution."""
    first = FactorisedReduction if layer.after_reduction else Preprocess
    return nn.ModuleList(
        [
            first(layer.before, layer.width, affine, running),
            Preprocess(layer.last, layer.width, affine, running),
        ]
    )


def check_images(images: Tensor) -> None:
    """Refuse images whose sides the two reductions cannot halve."""
    height, width = images.shape[-2:]
    if height % 4 or width % 4:
        raise ValueError(
            f"the DARTS space halves images twice: {height}x{width} is not divisible by 4; "
            "set data.resolution"
        )


class Stem(nn.Module):
    """The 3x3 convolution that reads the image."""

    def __init__(self, inputs: int, channels: int, running: bool) -> None:
        super().__init__()
        self.conv = convolution(inputs, STEM * channels, 3)
        self.norm = Norm(STEM * channels, track_running_stats=running)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, in, H, W] to [B, 3C, H, W]."""
        check_images(images)
        features: Tensor = self.norm(self.conv(images))
        return features


def join(nodes: list[Tensor], combine: str) -> Tensor:
    """Return a cell's output from its intermediate nodes [B, C, H, W]."""
    return torch.cat(nodes, dim=1) if combine == "concat" else sum(nodes[1:], nodes[0])
