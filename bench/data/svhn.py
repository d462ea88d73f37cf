"""SVHN: 73,257 training images of house numbers, 32x32 in 10 classes, through torchvision."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.data._torchvision import TorchvisionSource


class Svhn(TorchvisionSource):
    """SVHN: 73,257 training images of house numbers, 32x32 in 10 classes, through torchvision.

    The official ``train`` and ``test`` files, without ``extra``. Shifted by up to 4 pixels and not
    mirrored: a mirrored digit is another sign. Mean and deviation are the usual 0.5.
    """

    paper: ClassVar[str] = (
        "Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning"
    )
    torchvision_class: ClassVar[str] = "SVHN"
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = ((0.5,) * 3, (0.5,) * 3)
    mirrored: ClassVar[bool] = False
    typical: ClassVar[tuple[int, int]] = (32, 73_257)

    def part(self, train: bool) -> dict[str, Any]:
        """See `TorchvisionSource.part`."""
        return {"split": "train" if train else "test"}

    def arrays(self, found: Any) -> tuple[Tensor, Tensor]:
        """See `TorchvisionSource.arrays`; these come with their channels first."""
        return torch.as_tensor(found.data), torch.as_tensor(found.labels)
