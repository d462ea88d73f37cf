"""What every source of images promises."""

from __future__ import annotations

import contextlib

import torch

from bench.conformance import Check, expect
from bench.contracts.data import DataSource, Images, NoTestImagesError


def images(source: DataSource) -> None:
    """Pixels are uint8 [N, C, H, W] and labels int64 [N], all classes there."""
    _images(source.read(train=True))
    with contextlib.suppress(NoTestImagesError):
        _images(source.read(train=False))


def _images(found: Images) -> None:
    expect(
        found.pixels.dtype == torch.uint8 and found.pixels.ndim == 4, "pixels: uint8 [N, C, H, W]"
    )
    expect(found.labels.dtype == torch.int64, "labels: int64")
    expect(found.labels.shape == (len(found.pixels),), "a label for every image")
    low, high = int(found.labels.min()), int(found.labels.max())
    expect(low >= 0 and high < found.classes, f"labels from {low} to {high} of {found.classes}")
    sizes = {len(found.mean), len(found.std), found.channels}
    expect(len(sizes) == 1 and min(found.std) > 0, "mean and std: one per channel, std above 0")


def halves(source: DataSource) -> None:
    """The split is disjoint, whole, balanced and the same every time."""
    first, second = source.halves(), source.halves()
    whole = source.load()
    expect(len(first.train) + len(first.valid) == len(whole), "the halves are not the whole")
    expect(torch.equal(first.train.pixels, second.train.pixels), "two splits differ")
    expect(torch.equal(first.valid.labels, second.valid.labels), "two splits differ")


def content(source: DataSource) -> None:
    """The hash is that of the images."""
    expect(source.content() == source.content(), "two hashes of the same images differ")
    expect(source.load().content == source.content(), "Images.content is not content()")


CHECKS: dict[str, Check] = {
    "gives pixels and labels as they must be": images,
    "is split in disjoint halves, the same every time": halves,
    "is named by a hash of its images": content,
}
