"""scikit-learn's digits: 1,797 images of 8x8 pixels, embedded, nothing to download."""

from __future__ import annotations

import torch

from bench.data import DataError, DataSource, Images


class Digits(DataSource):
    """scikit-learn's handwritten digits (1,797 grey images, 8x8, 10 classes), embedded.

    All of them are training images; there is no test set. Not augmented: a mirrored digit is
    another sign, and a shift by one pixel is an eighth of the image.
    """

    def read(self, train: bool) -> Images:
        """See `DataSource.read`."""
        if not train:
            raise DataError("digits has no test images; use a half of the training images")
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = torch.from_numpy(digits.images / 16 * 255).round().to(torch.uint8)[:, None]
        return Images(
            pixels, torch.from_numpy(digits.target).long(), 10, mean=(0.3053,), std=(0.3763,)
        )
