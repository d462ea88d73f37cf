"""Any folder of images in `ImageFolder` layout, decoded once into a cache."""

from __future__ import annotations

import hashlib
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from bench import files
from bench.contracts.data import DataError, DataSource, Images, NoTestImagesError
from bench.contracts.identity import INCIDENTAL, Place
from bench.data import _cache
from bench.data._decode import DECODER, LARGEST, decode
from bench.data._listing import Listing, holds_classes, listed


class ImageFolder(DataSource):
    """Any folder of images in `ImageFolder` layout: ``root/train/<class>/*``, ``root/test/<class>/*``.

    Where ``root/train`` holds no folders, ``root`` itself holds the classes. The classes are the
    folders of the training images that hold any, in the order of their names; the test images'
    folders are looked up among them. Hidden folders and files are left alone. Mean and deviation are
    those of the training images.

    Pixels are 8 bits: 16-bit grey is scaled, of 16-bit colour the high byte is taken. Images lie as
    their EXIF orientation says. What has no exact 8-bit form is refused by name: transparency,
    floating point, several frames; so are images that would be passed over, of other kinds or in
    folders inside a class.

    Decoded once and kept in the cache (``$BENCH_CACHE``) under a hash of all files' bytes.
    """

    root: Place = Field(description="the folder")
    dataset_name: str = Field("", description="what truth tables call this data, e.g. `cifar10`")
    label: Annotated[str, INCIDENTAL] = Field(
        "", description="how pages call it, e.g. `CIFAR-10 (JPEG)`"
    )
    grey: bool = Field(False, description="decode to one channel")
    resize: int | None = Field(
        None, ge=4, description="bring images of any size to this square: scaled, edges cut off"
    )

    @property
    def dataset(self) -> str:
        """What truth tables call this data."""
        return self.dataset_name or self.root.name

    def content(self, train: bool = True) -> str:
        """See `DataSource.content`: names and bytes of all files, in order."""
        found = self._listed(train)
        return _cache.remembered("files", found.looks, lambda: _hashed(found))

    def read(self, train: bool) -> Images:
        """See `DataSource.read`."""
        found, content = self._listed(train), self.content(train)
        arrays = self._arrays(found, content)
        pixels, labels = torch.from_numpy(arrays["pixels"]), torch.from_numpy(arrays["labels"])
        mean, std = _statistics(pixels) if train else self._training_statistics()
        crop = max(1, pixels.shape[-1] // 8)
        classes = len(found.classes)
        return Images(pixels, labels, classes, mean, std, crop, flip=True, content=content)

    def _training_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        arrays = self._arrays(self._listed(True), self.content(True))
        return _statistics(torch.from_numpy(arrays["pixels"]))

    def _arrays(self, found: Listing, content: str) -> dict[str, NDArray[np.generic]]:
        """Return pixels [N, C, H, W] and labels [N], decoded unless they were before."""
        how = f"{DECODER} {content} {found.classes} {self.grey} {self.resize}"
        key = f"images-{hashlib.sha256(how.encode(errors='surrogateescape')).hexdigest()[:32]}"
        arrays: dict[str, NDArray[np.generic]] | None = _cache.load(key)
        if arrays is None or not self._fits(arrays, found):
            digest = hashlib.sha256()
            pixels = decode(
                found.paths,
                grey=self.grey,
                resize=self.resize,
                seen=lambda i, data: digest.update(_line(found, i, data)),
            )
            if digest.hexdigest() != content:
                raise DataError(f"image_folder: {str(found.folder)!r} changed while it was read")
            arrays = {"pixels": pixels, "labels": np.array(found.labels, dtype=np.int64)}
            _cache.save(key, **arrays)
        return arrays

    def _fits(self, arrays: dict[str, NDArray[np.generic]], found: Listing) -> bool:
        """Say whether kept arrays can be the pixels and labels of these images."""
        if set(arrays) != {"pixels", "labels"}:
            return False
        pixels, labels = arrays["pixels"], arrays["labels"]
        channels, side = 1 if self.grey else 3, self.resize
        return (
            pixels.dtype == np.uint8
            and pixels.ndim == 4
            and pixels.shape[:2] == (len(found.paths), channels)
            and min(pixels.shape) > 0
            and (side is None or pixels.shape[2:] == (side, side))
            and labels.dtype == np.int64
            and labels.tolist() == list(found.labels)
        )

    def _listed(self, train: bool) -> Listing:
        """List the training or the test images; labels are places in the training images' classes."""
        root = self.root
        if not root.is_dir():
            raise DataError(
                f"image_folder: no folder {str(root)!r}; unpack images there as "
                "train/<class>/<file>, or set data.root"
            )
        split = holds_classes(root / "train")
        folder = root / "train" if split else root
        # What is beside the classes is none: the test images of a root without `train`.
        aside = () if split or not holds_classes(root / "test") else ("test",)
        if train:
            return listed(folder, aside=aside)
        if not holds_classes(root / "test"):
            raise NoTestImagesError(
                f"image_folder: no folder {str(root / 'test')!r} with test/<class>/<file>; "
                "use a half of the training images"
            )
        return listed(root / "test", listed(folder, aside=aside).classes)


def _line(found: Listing, number: int, data: bytes) -> bytes:
    """Return what stands for a file in the hash of a listing: its name and its bytes' hash."""
    name = "/".join(found.names[number]).encode(errors="surrogateescape")
    return name + b"\0" + hashlib.sha256(data).digest()


def _hashed(found: Listing) -> str:
    digest = hashlib.sha256()
    for number, path in enumerate(found.paths):
        try:
            digest.update(_line(found, number, files.read(path, LARGEST)))
        except (OSError, ValueError) as error:
            raise DataError(f"image_folder: {error}") from None
    return digest.hexdigest()


def _statistics(pixels: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel, of 10,000 images where there are more."""
    sample = pixels[:: max(1, len(pixels) // 10_000)].float() / 255
    mean = tuple(sample.mean(dim=(0, 2, 3)).tolist())
    return mean, tuple(sample.std(dim=(0, 2, 3)).clamp_min(1e-3).tolist())
