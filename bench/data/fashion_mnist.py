"""Fashion-MNIST: 60,000 grey training images of 28x28 in 10 classes, through torchvision."""

from __future__ import annotations

from typing import ClassVar

from bench.data._torchvision import TorchvisionSource


class FashionMnist(TorchvisionSource):
    """Fashion-MNIST: 60,000 grey training images of 28x28 in 10 classes, through torchvision.

    Augmented by a random crop after padding 4 pixels and a mirror, as usual.
    """

    paper: ClassVar[str] = "Xiao et al. 2017, Fashion-MNIST, arXiv:1708.07747"
    torchvision_class: ClassVar[str] = "FashionMNIST"
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = ((0.2860,), (0.3530,))
    classes: ClassVar[int] = 10
    typical: ClassVar[tuple[int, int]] = (28, 60_000)
