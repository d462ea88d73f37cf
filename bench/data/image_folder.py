"""Any folder of images in `ImageFolder` layout, decoded once into a cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from bench.contracts.data import DataError, DataSource, Images
from bench.data import _cache

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})


class ImageFolder(DataSource):
    """Any folder of images in `ImageFolder` layout: ``root/train/<class>/*``, ``root/test/<class>/*``.

    Decoded once and kept in the cache (``$BENCH_CACHE``); the cache's key covers every file's path,
    size and time, so changed files are decoded again. Without ``train`` below the root, the
    root itself holds the classes. Mean and deviation are those of the training images.
    """

    root: str = Field(description="the folder")
    dataset_name: str = Field("", description="what truth tables call this data, e.g. `cifar10`")
    label: str = Field("", description="how pages call it, e.g. `CIFAR-10 (JPEG)`")
    grey: bool = Field(False, description="decode to one channel")

    @property
    def dataset(self) -> str:
        """What truth tables call this data."""
        return self.dataset_name or Path(self.root).name

    def read(self, train: bool) -> Images:
        """See `DataSource.read`."""
        pixels, labels, classes = self._decoded(train)
        statistics = pixels if train else self._decoded(True)[0]
        sample = statistics[:: max(1, len(statistics) // 10_000)].float() / 255
        mean = tuple(sample.mean(dim=(0, 2, 3)).tolist())
        std = tuple(sample.std(dim=(0, 2, 3)).clamp_min(1e-3).tolist())
        crop = max(1, pixels.shape[-1] // 8)
        return Images(pixels, labels, classes, mean, std, crop, flip=True)

    def _decoded(self, train: bool) -> tuple[torch.Tensor, torch.Tensor, int]:
        root = Path(self.root)
        folder = root / ("train" if train else "test")
        if not folder.is_dir():
            if not train or not root.is_dir():
                raise DataError(
                    f"image_folder: no folder {str(folder)!r}; unpack images there as "
                    f"{folder.name}/<class>/<file>, or set data.root"
                )
            folder = root
        files = _listed(folder)
        if not files:
            raise DataError(f"image_folder: no images under {str(folder)!r} (want <class>/<file>)")
        names = sorted({name for name, _ in files})
        digest = hashlib.sha256(f"v2 {self.grey}".encode())
        for (name, file), stat in files.items():
            digest.update(f"{name}/{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        key = f"images-{digest.hexdigest()[:32]}"
        arrays = _cache.load(key)
        if arrays is None:
            labels = np.array([names.index(name) for name, _ in files], dtype=np.int64)
            paths = [folder / name / file for name, file in files]
            arrays = {"pixels": _decode(paths, self.grey), "labels": labels}
            _cache.save(key, **arrays)
        pixels = torch.from_numpy(arrays["pixels"])
        return pixels, torch.from_numpy(arrays["labels"]), len(names)


def _listed(folder: Path) -> dict[tuple[str, str], os.stat_result]:
    """Return all images as (class, file) in order; strings, as 50,000 paths take ten times as long."""
    found = {}
    for entry in os.scandir(folder):
        if not entry.is_dir():
            continue
        for file in os.scandir(entry):
            if os.path.splitext(file.name)[1].lower() in SUFFIXES:
                found[entry.name, file.name] = file.stat()
    return dict(sorted(found.items()))


def _decode(files: list[Path], grey: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decode all files into [N, C, H, W]; all must have the first one's size."""
    from PIL import Image, UnidentifiedImageError

    mode, pixels = "L" if grey else "RGB", None
    for i, path in enumerate(files):
        try:
            with Image.open(path) as image:
                decoded = np.asarray(image.convert(mode), dtype=np.uint8)
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"image_folder: cannot decode {str(path)!r}: {error}") from error
        decoded = decoded[None] if grey else decoded.transpose(2, 0, 1)
        if pixels is None:
            pixels = np.empty((len(files), *decoded.shape), dtype=np.uint8)
        if decoded.shape != pixels.shape[1:]:
            raise DataError(
                f"image_folder: {str(path)!r} is {decoded.shape[1]}x{decoded.shape[2]}, the first "
                f"image {pixels.shape[2]}x{pixels.shape[3]}; all must have one size"
            )
        pixels[i] = decoded
    assert pixels is not None
    return pixels
