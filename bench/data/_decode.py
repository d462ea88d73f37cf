"""Image files as bytes of pixels: exact, or refused with the file's name and the reason."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import PIL
from numpy.typing import NDArray

from bench import files
from bench.data import DataError
from bench.written import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

DECODER = f"1 {PIL.__version__}"
"""Part of the name under which pixels are kept: raised when the same file would give others."""
LARGEST = 256 << 20
"""Bytes of an image file."""
PIXELS = 1 << 26
"""Pixels of an image; more are a mistake or a bomb."""
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
"""What is read, whatever a file is called: Pillow knows kinds besides that start other programs."""
EXACT = frozenset({"1", "L", "RGB", "P"})
"""Modes whose pixels have 8 bits or fewer, and no more than grey or red, green and blue."""
TRANSPARENT = "has transparent pixels; put it on a background of your choice"
COLOURS = frozenset({"CMYK", "YCbCr"})
"""Modes of 8-bit colour in other terms; Pillow's conversion to RGB is the usual one."""


def decode(
    paths: Sequence[str],
    *,
    grey: bool,
    resize: int | None = None,
    seen: Callable[[int, bytes], None] = lambda number, data: None,
) -> NDArray[np.uint8]:
    """Decode images into [N, C, H, W]; without ``resize`` all must have the first one's size.

    Parameters
    ----------
    grey
        One channel; three otherwise.
    resize
        Pixels a side; scaled so that the shorter side fits, the middle taken of the longer one.
    seen
        Called with the number and the bytes of every file that is decoded.

    Raises
    ------
    DataError
        One line that names the file, whatever is wrong with it.
    """
    pixels: NDArray[np.uint8] | None = None
    for number, path in enumerate(paths):
        try:
            data = files.read(path, LARGEST)
            seen(number, data)
            decoded = _pixels(data, grey, resize)
        except MemoryError:
            raise DataError(f"image_folder: {path!r}: not enough memory to decode it") from None
        except Exception as error:  # decoders raise many kinds
            reason = one_line(error) or type(error).__name__
            reason = reason.removeprefix(f"{path}: ")
            raise DataError(f"image_folder: cannot decode {path!r}: {reason[:200]}") from None
        if pixels is None:
            pixels = _room(len(paths), decoded.shape)
        if decoded.shape != pixels.shape[1:]:
            sizes = [f"{shape[-1]}x{shape[-2]}" for shape in (decoded.shape, pixels.shape)]
            raise DataError(
                f"image_folder: {path!r} is {sizes[0]}, the first image {sizes[1]} (width by "
                "height); all must have one size, or set data.resize"
            )
        pixels[number] = decoded
    assert pixels is not None
    return pixels


def _room(count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        return np.empty((count, *shape), dtype=np.uint8)
    except MemoryError:
        size = count * int(np.prod(shape)) / 1e9
        raise DataError(
            f"image_folder: {count:,} images of {shape[-1]}x{shape[-2]} take {size:,.1f} GB, more "
            "than there is; set data.resize"
        ) from None


def _pixels(data: bytes, grey: bool, resize: int | None) -> NDArray[np.uint8]:
    """Decode one image to [C, H, W]; raises whatever is wrong with it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():  # what they warn of is refused here, or harmless
        warnings.simplefilter("ignore")
        try:
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            said = (
                f"of {', '.join(FORMATS[:-1])} or {FORMATS[-1]}" if data else "at all: it is empty"
            )
            raise ValueError(f"no image {said}") from None
        with opened as image:
            if image.width * image.height > PIXELS:
                raise ValueError(
                    f"{image.width}x{image.height} are more than the {PIXELS:,} pixels expected"
                )
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"holds {getattr(image, 'n_frames', 0)} frames; want one")
            image.load()
            turned = ImageOps.exif_transpose(image)
            plain = _eight_bits(turned, image.format or "").convert("L" if grey else "RGB")
            if resize is not None:
                plain = ImageOps.fit(plain, (resize, resize), Image.Resampling.BICUBIC)
            decoded = np.asarray(plain, dtype=np.uint8)
    return decoded[None] if grey else decoded.transpose(2, 0, 1)


def _eight_bits(image: Image, kind: str) -> Image:
    """Return an image of the same content with 8 bits a channel; raises ValueError.

    Parameters
    ----------
    kind
        Of the file: in some, wider integers are known to be 16 bits.
    """
    from PIL import Image as images

    if image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PPM")):
        values = np.asarray(image).astype(np.uint32)
        if (values == image.info.get("transparency")).any():
            raise ValueError(TRANSPARENT)
        return images.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        alpha = image.convert("RGBA")
        if alpha.getchannel("A").getextrema() != (255, 255):
            raise ValueError(TRANSPARENT)
        return alpha.convert("RGB")
    if image.mode in EXACT | COLOURS:
        return image
    raise ValueError(f"its pixels (mode {image.mode}) have no exact 8-bit form; convert it")
