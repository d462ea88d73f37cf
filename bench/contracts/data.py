"""Images as tensors on the device: the contract of a data source and what it gives.

Images are kept as bytes [N, C, H, W] and normalised batch by batch, so that the data is on the
device once and in its smallest form; augmentation is batched there too (`bench.batches`).
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.member import Member
from bench.streams import generator


class DataError(ValueError):
    """Images that are missing or damaged; one line that names the command that gets them."""


class NoTestImagesError(DataError):
    """There is no set of test images, which is no fault: some data have none."""


@dataclass(frozen=True)
class Images:
    """A labelled set of images.

    Attributes
    ----------
    pixels
        uint8 [N, C, H, W].
    labels
        int64 [N].
    mean, std
        Per channel, of pixels scaled to 0..1; used to normalise batches.
    crop
        Padding of the random crop of training batches in pixels; 0: none.
    flip
        Whether training batches are mirrored at random.
    content
        Hash of what the source holds (`DataSource.content`), whatever part of it this is.
    """

    pixels: Tensor
    labels: Tensor
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: int = 0
    flip: bool = False
    content: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """Colour channels of an image."""
        return self.pixels.shape[1]

    def take(self, rows: Tensor) -> Images:
        """Return the images at these rows [n].

        Parameters
        ----------
        rows
            int64 [n].

        Returns
        -------
        Images
            n images, with the same normalisation and augmentation.
        """
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])

    def to(self, device: torch.device) -> Images:
        """Return the same images on a device.

        Parameters
        ----------
        device
            Where the tensors are to be.

        Returns
        -------
        Images
            The same images there.
        """
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def fingerprint(self) -> str:
        """Hash the pixels and labels, in their order; 64 hex digits.

        Returns
        -------
        str
            64 hex digits.
        """
        digest = hashlib.sha256(repr((*self.pixels.shape, self.classes)).encode())
        for part in (self.pixels, self.labels):
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Batch:
    """Normalised images [B, C, H, W] and labels [B]; ``step``: when training sees them, if it does."""

    images: Tensor
    labels: Tensor
    step: int | None = None


@dataclass(frozen=True)
class Halves:
    """The two disjoint halves of the training images that a bilevel search needs."""

    train: Images
    valid: Images

    def union(self) -> Images:
        """Return the images of both halves as one set.

        Returns
        -------
        Images
            As many images as both have together, those of ``train`` first.
        """
        parts = (self.train, self.valid)
        pixels, labels = (torch.cat([getattr(p, n) for p in parts]) for n in ("pixels", "labels"))
        return replace(self.train, pixels=pixels, labels=labels)

    def to(self, device: torch.device) -> Self:
        """Return both halves on a device.

        Parameters
        ----------
        device
            Where the tensors are to be.

        Returns
        -------
        Self
            Both halves there.
        """
        return replace(self, train=self.train.to(device), valid=self.valid.to(device))


class DataSource(Member):
    """Where images come from, and how many of them at which resolution."""

    typical: ClassVar[tuple[int, int]] = (32, 50_000)
    """Pixels a side and training images, for estimates of what a run will take."""

    caveat: ClassVar[str] = ""
    """What a reader must know before an answer found on this data is believed; may be empty."""

    size: int | None = Field(
        None, ge=4, description="use this many training images (balanced draw)"
    )
    resolution: int | None = Field(None, ge=2, description="average down to this many pixels")
    augment: bool | None = Field(None, description="crop and flip; default: what is usual here")
    flip: bool | None = Field(
        None, description="mirror training images; wrong where left and right differ in meaning"
    )
    crop: int | None = Field(
        None, ge=0, description="shift training images by up to so many pixels; 0: not at all"
    )
    split_seed: int = Field(0, description="draws the images and the halves; same for all runs")

    @property
    def dataset(self) -> str:
        """What truth tables call this data (`cifar10`, ...)."""
        return self.name

    def offline(self) -> Self:
        """Return the same without leave to download: that is given by whoever types a command.

        Returns
        -------
        Self
            The source; itself where it never downloads anything.
        """
        return self

    def extent(self) -> tuple[int, int]:
        """Return pixels a side and number of training images, roughly, without reading them.

        Returns
        -------
        tuple[int, int]
            (pixels a side, training images).
        """
        resolution, images = self.typical
        return self.resolution or resolution, self.size or images

    @abstractmethod
    def read(self, train: bool) -> Images:
        """Read the training or the test images at their own resolution, on the CPU.

        Parameters
        ----------
        train
            The training images, or the test images.

        Returns
        -------
        Images
            Pixels [N, C, H, W] as bytes and labels [N], neither cut down nor scaled.

        Raises
        ------
        DataError
            When they are not there; names the command that gets them. `NoTestImagesError` where
            there are none to be had.
        """

    def content(self, train: bool = True) -> str:
        """Hash the images that `read` gives, in their order: the same wherever they lie.

        Whatever other images would give, or these in another order, has another hash. A source
        that can tell without decoding them says so here and in `Images.content`.

        Parameters
        ----------
        train
            The training images, or the test images.

        Returns
        -------
        str
            64 hex digits.

        Raises
        ------
        DataError
            When the images are not there.
        """
        return self.read(train).fingerprint()

    def load(self, train: bool = True) -> Images:
        """Read images and apply ``resolution``, augmentation and, for training, ``size``.

        ``flip`` and ``crop`` (in pixels at the final resolution) win over ``augment``.

        Parameters
        ----------
        train
            The training images, or the test images.

        Returns
        -------
        Images
            Images as the fields say.

        Raises
        ------
        DataError
            When they are not there, or are fewer or smaller than what is asked for.
        """
        images = self.read(train)
        if not images.content:
            images = replace(images, content=images.fingerprint())
        if train and self.size is not None:
            if self.size > len(images):
                raise DataError(
                    f"size: {self.size} images asked for, {self.name} has {len(images)}"
                )
            images = images.take(_balanced(images.labels, self.size, self.split_seed))
        if self.resolution is not None:
            images = _at_resolution(images, self.resolution)
        if self.augment is False:
            images = replace(images, crop=0, flip=False)
        if self.augment and not images.crop:
            images = replace(images, crop=max(1, images.pixels.shape[-1] // 8))
        return replace(
            images,
            crop=images.crop if self.crop is None else self.crop,
            flip=images.flip if self.flip is None else self.flip,
        )

    def halves(self) -> Halves:
        """Split the training images at random into two halves, each with every class's share.

        Returns
        -------
        Halves
            Two disjoint sets whose sizes differ by one image of a class at most.

        Raises
        ------
        DataError
            When they are not there, or are fewer or smaller than what is asked for.
        """
        images = self.load()
        rows = _balanced(images.labels, len(images), self.split_seed)
        # Every second image of each class, then back to the mixed order that evaluation needs.
        by_class = images.labels[rows].argsort(stable=True)
        first = by_class[0::2].sort().values
        second = by_class[1::2].sort().values
        return Halves(images.take(rows[first]), images.take(rows[second]))


def _balanced(labels: Tensor, size: int, seed: int) -> Tensor:
    """Draw rows so that every prefix holds each class in its share, as nearly as can be."""
    order = torch.randperm(len(labels), generator=generator("cpu", seed, "split"))
    shuffled = labels[order]
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in torch.unique(shuffled):
        at = (shuffled == label).nonzero().flatten()
        place[at] = (torch.arange(len(at), dtype=torch.float64) + 0.5) / len(at)
    return order[place.argsort(stable=True)][:size]


def _at_resolution(images: Images, resolution: int) -> Images:
    """Average the images down; halving twice would blur no differently."""
    height, width = images.pixels.shape[-2:]
    if resolution > min(height, width):
        raise DataError(f"resolution: {resolution} asked for, the images have {height}x{width}")
    parts = [
        torch.nn.functional.interpolate(part.float(), size=(resolution, resolution), mode="area")
        .round()
        .to(torch.uint8)
        for part in torch.split(images.pixels, 4096)
    ]
    crop = -(-images.crop * resolution // height)
    return replace(images, pixels=torch.cat(parts), crop=crop)
