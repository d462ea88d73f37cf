"""What lies in a folder of classes: which images, in which order, of which class."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data import DataError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff"}
)
UNREAD = frozenset(
    {".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".tga", ".ico", ".pcx", ".psd", ".dds"}
    | {".svg", ".eps", ".exr", ".hdr", ".dng", ".npy", ".dcm"}
)
"""Endings of images that are not read: who has some among others wants to know."""


@dataclass(frozen=True)
class Listing:
    """The images of one folder of classes.

    Attributes
    ----------
    classes
        In the order of the labels.
    names
        (class, file) of every image, sorted.
    status
        Of every image, in the same order.
    """

    folder: Path
    classes: tuple[str, ...]
    names: list[tuple[str, str]]
    status: list[os.stat_result]

    @property
    def paths(self) -> list[str]:
        """The files, in order; strings, as 50,000 `Path` objects take ten times as long."""
        return [os.path.join(self.folder, *name) for name in self.names]

    @property
    def labels(self) -> list[int]:
        """The place of every image's class."""
        place = {name: i for i, name in enumerate(self.classes)}
        return [place[name] for name, _ in self.names]

    @property
    def looks(self) -> Iterator[tuple[str, os.stat_result]]:
        """Name and status of every image, as `_cache.remembered` takes them."""
        return (("/".join(n), look) for n, look in zip(self.names, self.status, strict=True))


def holds_classes(folder: Path) -> bool:
    """Say whether a folder holds folders, hidden ones aside: a class of images holds none."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def listed(
    folder: Path, classes: Sequence[str] | None = None, aside: Sequence[str] = ()
) -> Listing:
    """List the images of ``folder/<class>/``.

    Parameters
    ----------
    classes
        The classes that there are; None: those that have images here.
    aside
        Folders that are no classes.

    Raises
    ------
    DataError
        When there are none, one cannot be read, or its class is not one of ``classes``.
    """
    found: dict[tuple[str, str], os.stat_result] = {}
    try:
        with os.scandir(folder) as entries:
            inside = sorted(
                entry.name
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".") and entry.name not in aside
            )
        for name in inside:
            found.update(((name, file), look) for file, look in _images(folder / name))
    except OSError as error:
        raise DataError(
            f"image_folder: {error.filename!r} cannot be read: {error.strerror}"
        ) from None
    if not found:
        raise DataError(f"image_folder: no images under {str(folder)!r} (want <class>/<file>)")
    names = sorted(found)
    present = tuple(dict.fromkeys(name for name, _ in names))
    if classes is not None and (unknown := [name for name in present if name not in classes]):
        raise DataError(
            f"image_folder: {str(folder / unknown[0])!r}: no training images are of this class "
            f"(known: {', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''})"
        )
    known = present if classes is None else tuple(classes)
    return Listing(folder, known, names, [found[name] for name in names])


def _images(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the images of one class.

    Raises OSError; DataError where nothing else is there, or images are that would be passed over.
    """
    others, any_image = "", False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            if ending in UNREAD:
                raise DataError(
                    f"image_folder: {entry.path!r}: images that end in {ending} are not read; "
                    "convert it to PNG, or take it away"
                )
            if ending not in SUFFIXES:
                if entry.is_dir() and (inner := _holds_images(entry.path)):
                    raise DataError(
                        f"image_folder: {inner!r}: images lie in the class's folder itself, not in "
                        "folders inside it"
                    )
                others = entry.path
                continue
            look = entry.stat()
            if not stat.S_ISREG(look.st_mode):
                raise DataError(f"image_folder: {entry.path!r} is no regular file")
            any_image = True
            yield entry.name, look
    if others and not any_image:
        raise DataError(
            f"image_folder: {str(folder)!r} holds no image, but {others!r}; images end in "
            f"{', '.join(sorted(SUFFIXES))} and lie in the class's folder itself"
        )


def _holds_images(folder: str) -> str:
    """Return an image of a folder inside a class; empty where it holds none."""
    with os.scandir(folder) as entries:
        for entry in entries:
            ending = os.path.splitext(entry.name)[1].lower()
            if not entry.name.startswith(".") and ending in SUFFIXES | UNREAD:
                return entry.path
    return ""
