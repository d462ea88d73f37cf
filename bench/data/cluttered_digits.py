"""Cluttered digits: scikit-learn's digits among fragments of others; embedded, nothing to download."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.data import DataSource, Halves, Images, _balanced
from bench.data._digits import digits
from bench.streams import generator

SIDE, LEVELS = 8, 16
"""Pixels a side of scikit-learn's digits, and their largest value."""
PARTS = ("train", "valid", "test")
"""The pools of digits, a third each: both halves of the training images and the test images."""


class ClutteredDigits(DataSource):
    """A digit at a random place of a canvas, among fragments of other digits and noise; embedded.

    The idea is cluttered translated MNIST; the digits are scikit-learn's (1,797 of 8x8 pixels). An
    image is a digit and ``fragments`` squares cut out of other digits, laid over each other (the
    brighter pixel is seen), with Gaussian noise on every pixel. No digit, whole or in fragments, is
    in more than one of the three parts: the two halves of the training images that a search works
    with, and the test images. Every digit of a part is shown as often as any other. Not augmented.
    """

    paper: ClassVar[str] = (
        "Mnih et al. 2014, Recurrent Models of Visual Attention, arXiv:1406.6247 (cluttered "
        "translated MNIST)"
    )

    canvas: int = Field(16, ge=SIDE, le=64, description="pixels a side of an image")
    fragments: int = Field(6, ge=0, le=64, description="fragments of other digits in an image")
    fragment: int = Field(4, ge=1, le=SIDE, description="pixels a side of a fragment")
    noise: float = Field(
        0.15, ge=0, le=2, description="deviation of Gaussian noise added to each pixel (0 to 1)"
    )
    images: int = Field(
        5000, ge=20, le=200_000, description="training images, both halves together"
    )
    test_images: int = Field(2000, ge=10, le=200_000, description="test images")

    def extent(self) -> tuple[int, int]:
        """See `DataSource.extent`."""
        return self.resolution or self.canvas, self.size or self.images

    def read(self, train: bool) -> Images:
        """See `DataSource.read`; the two halves of the training images take turns."""
        first, second = (self._drawn(part, -(-self.images // 2)) for part in PARTS[:2])
        pixels, labels = (
            torch.stack([a, b], dim=1).flatten(0, 1)[: self.images]
            for a, b in zip(first, second, strict=True)
        )
        unit = pixels.float() / 255
        mean, std = (float(unit.mean()),), (float(unit.std()),)
        if not train:
            pixels, labels = self._drawn(PARTS[2], self.test_images)
        return Images(pixels, labels, 10, mean, std)

    def halves(self) -> Halves:
        """Return two halves that have no digit in common."""
        whole = self.model_copy(update={"size": None}).load()
        both = [whole.take(torch.arange(i, len(whole), 2)) for i in (0, 1)]
        if self.size is not None:
            self.load()  # says so where that many are not there
            both = [
                half.take(_balanced(half.labels, self.size // 2, self.split_seed)) for half in both
            ]
        return Halves(*both)

    def _drawn(self, part: str, count: int) -> tuple[Tensor, Tensor]:
        """Draw images of a part's digits: bytes [count, 1, H, W], and labels."""
        digits, labels = self._digits(part)
        draws = generator("cpu", self.split_seed, "cluttered_digits", part)

        def below(most: int) -> Tensor:
            return torch.randint(most, (count,), generator=draws)

        def place(side: int) -> tuple[Tensor, Tensor]:
            """Return rows [count, side, 1] and columns [count, 1, side] of a random square."""
            at = torch.arange(side)
            rows = below(self.canvas - side + 1)[:, None] + at
            return rows[:, :, None], (below(self.canvas - side + 1)[:, None] + at)[:, None]

        turns = [torch.randperm(len(digits), generator=draws) for _ in range(0, count, len(digits))]
        shown, image = torch.cat(turns)[:count], torch.arange(count)[:, None, None]
        seen = torch.zeros(count, self.canvas, self.canvas)
        rows, columns = place(SIDE)
        seen[image, rows, columns] = digits[shown]
        for _ in range(self.fragments):
            other = (shown + 1 + below(len(digits) - 1)) % len(
                digits
            )  # any digit but the one shown
            at = torch.arange(self.fragment)
            top, left = (below(SIDE - self.fragment + 1)[:, None] + at for _ in range(2))
            cut = digits[other[:, None, None], top[:, :, None], left[:, None]]
            rows, columns = place(self.fragment)
            seen[image, rows, columns] = torch.maximum(seen[image, rows, columns], cut)
        seen += self.noise * torch.randn(seen.shape, generator=draws)
        return (seen.clamp(0, 1) * 255).round().to(torch.uint8)[:, None], labels[shown]

    def _digits(self, part: str) -> tuple[Tensor, Tensor]:
        """Return a part's digits [n, 8, 8] from 0 to 1, a third of every class, and their labels."""
        images, classes = digits()
        values, labels = torch.from_numpy(images), torch.from_numpy(classes).long()
        order = _balanced(labels, len(labels), self.split_seed)
        rows = labels[order].argsort(stable=True)[PARTS.index(part) :: len(PARTS)]
        own = order[rows.sort().values]
        return values[own].float() / LEVELS, labels[own]
