"""scikit-learn's digits: 1,797 images of 8x8 pixels, embedded, nothing to download."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from bench.contracts.data import DataSource, Images, NoTestImagesError
from bench.data._digits import digits
from bench.streams import generator


class Digits(DataSource):
    """scikit-learn's handwritten digits (1,797 grey images, 8x8, 10 classes), embedded.

    All of them are training images; there is no test set. Not augmented: a mirrored digit is
    another sign, and a shift by one pixel is an eighth of the image. Without noise a small supernet
    is right on 98 of 100 after ten epochs, too easy for most failures of DARTS to show; ``noise``
    makes it as hard as wanted.
    """

    typical: ClassVar[tuple[int, int]] = (8, 1797)
    caveat: ClassVar[str] = (
        "Digits do not punish a collapse: cells trained on them alone and briefly are the better "
        "the more skips they have. That a search failed is said of the data that judges it."
    )

    noise: float = Field(
        0.0, ge=0, le=2, description="deviation of Gaussian noise added once to each pixel (0 to 1)"
    )

    def read(self, train: bool) -> Images:
        """See `DataSource.read`."""
        if not train:
            raise NoTestImagesError("digits has no test images; use a half of the training images")
        images, labels = digits()
        values = torch.from_numpy(images).float()[:, None] / 16
        draws = generator("cpu", self.split_seed, "digits", "noise")
        values += self.noise * torch.randn(values.shape, generator=draws)
        pixels = (values.clamp(0, 1) * 255).round().to(torch.uint8)
        unit = pixels.float() / 255
        return Images(
            pixels,
            torch.from_numpy(labels).long(),
            10,
            mean=(float(unit.mean()),),
            std=(float(unit.std()),),
        )
