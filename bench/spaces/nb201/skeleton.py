"""The frame of NAS-Bench-201 around its cells: stem, reduction blocks, head.

As in Dong and Yang 2020 (arXiv:2001.00326): a 3x3 stem, three stages of N cells at C, 2C and 4C
channels with a residual block of stride 2 between them, global average pooling and a linear layer.
The frame's own batch norms are affine, as in the official code, whatever the cells use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Norm(nn.BatchNorm2d):
    """Batch norm that can be told which rows of the batch its statistics come from.

    With ``rows`` set, mean and variance are those of the first ``rows`` images and normalise all
    of them; running statistics are neither used nor updated. So that one pass can calibrate on
    training images and evaluate others, and networks with running statistics can be measured
    with the batch's.
    """

    rows: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [B, C, H, W]."""
        if self.rows is None:
            return super().forward(input)
        return normalise(input, self.rows, self.weight, self.bias, self.eps)


def normalise(
    x: Tensor, rows: int, scale: Tensor | None, shift: Tensor | None, epsilon: float
) -> Tensor:
    """Normalise all of ``x`` [B, C, H, W] by the statistics of its first ``rows``."""
    if rows >= len(x):
        return F.batch_norm(x, None, None, scale, shift, training=True, eps=epsilon)
    variance, mean = torch.var_mean(x[:rows], dim=(0, 2, 3), correction=0)
    return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=epsilon)


@contextlib.contextmanager
def statistics_from(network: nn.Module, rows: int | None) -> Iterator[None]:
    """Let every batch norm of a network take its statistics from the first ``rows`` meanwhile."""
    norms = [module for module in network.modules() if hasattr(module, "rows")]
    for norm in norms:
        norm.rows = rows  # type: ignore[assignment]
    try:
        yield
    finally:
        for norm in norms:
            norm.rows = None  # type: ignore[assignment]


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution without bias whose padding keeps the resolution at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Reduction(nn.Module):
    """The residual block between stages: halves the resolution, doubles the channels."""

    def __init__(self, inputs: int, outputs: int, running: bool) -> None:
        super().__init__()
        self.conv_a = convolution(inputs, outputs, 3, stride=2)
        self.norm_a = Norm(outputs, track_running_stats=running)
        self.conv_b = convolution(outputs, outputs, 3)
        self.norm_b = Norm(outputs, track_running_stats=running)
        self.shortcut = convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, 2C, H/2, W/2]."""
        y = self.norm_a(self.conv_a(F.relu(x)))
        y = self.norm_b(self.conv_b(F.relu(y)))
        shortcut: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        total: Tensor = y + shortcut
        return total


class Stem(nn.Module):
    """The 3x3 convolution that reads the image."""

    def __init__(self, inputs: int, outputs: int, running: bool) -> None:
        super().__init__()
        self.conv = convolution(inputs, outputs, 3)
        self.norm = Norm(outputs, track_running_stats=running)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, in, H, W] to [B, C, H, W]."""
        features: Tensor = self.norm(self.conv(images))
        return features


class Head(nn.Module):
    """Batch norm, ReLU, global average pooling and the classifier."""

    def __init__(self, inputs: int, classes: int, running: bool) -> None:
        super().__init__()
        self.norm = Norm(inputs, track_running_stats=running)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to logits [B, classes]."""
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean(dim=(2, 3)))
        return logits


def plan(channels: int, cells: int) -> Iterator[tuple[str, int]]:
    """Yield the blocks from stem to head: (``cell`` or ``reduction``, its output channels)."""
    for stage in range(3):
        if stage:
            yield "reduction", channels * 2**stage
        for _ in range(cells):
            yield "cell", channels * 2**stage


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights as torch's defaults would, but from ``generator`` alone.

    Merged convolutions keep their fan-in, so that they start like the separate ones would.
    """
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            bound = part.in_features**-0.5
            nn.init.uniform_(part.bias, -bound, bound, generator=generator)
