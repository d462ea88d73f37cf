"""Batches: augmented and normalised together on the device, against an image at a time."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from bench.batches import training_batch
from bench.contracts.data import Images
from benchmarks.ratios import alternate


class Naive(torch.utils.data.Dataset):
    """Images through torchvision's transforms, one by one, as training scripts have them."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.transform = v2.Compose(
            [
                v2.ToPILImage(),
                v2.RandomCrop(images.pixels.shape[-1], padding=images.crop),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(images.mean, images.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int):
        return self.transform(self.images.pixels[i]), self.images.labels[i]


@pytest.mark.parametrize("resolution", [16, 32])
def test_augmented_batches(benchmark, resolution):
    images = Images(
        torch.randint(256, (25_000, 3, resolution, resolution), dtype=torch.uint8),
        torch.randint(10, (25_000,)),
        10,
        (0.5,) * 3,
        (0.25,) * 3,
        crop=resolution // 8,
        flip=True,
    )
    loader = iter(torch.utils.data.DataLoader(Naive(images), batch_size=64, shuffle=True))

    def ours():
        for step in range(5):
            training_batch(images, 64, step, 0, "train")

    def naive():
        for _ in range(5):
            next(loader)

    ratio = alternate(benchmark, ours, naive, 9, "times torchvision's speed, one worker each")
    assert ratio > 3
