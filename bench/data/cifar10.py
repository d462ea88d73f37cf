"""CIFAR-10: 50,000 training images of 32x32 in 10 classes, through torchvision."""

from __future__ import annotations

from typing import ClassVar

from bench.data._torchvision import TorchvisionSource


class Cifar10(TorchvisionSource):
    """CIFAR-10: 50,000 training images of 32x32 in 10 classes, through torchvision.

    Augmented by a random crop after padding 4 pixels and a mirror, as usual.
    """

    paper: ClassVar[str] = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
    torchvision_class: ClassVar[str] = "CIFAR10"
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = (
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
    )
    classes: ClassVar[int] = 10
