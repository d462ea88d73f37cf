"""CIFAR-100: 50,000 training images of 32x32 in 100 classes, through torchvision."""

from __future__ import annotations

from typing import ClassVar

from bench.data._torchvision import TorchvisionSource


class Cifar100(TorchvisionSource):
    """CIFAR-100: 50,000 training images of 32x32 in 100 classes, through torchvision.

    Augmented by a random crop after padding 4 pixels and a mirror, as usual.
    """

    paper: ClassVar[str] = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
    torchvision_class: ClassVar[str] = "CIFAR100"
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = (
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
    )
    classes: ClassVar[int] = 100
