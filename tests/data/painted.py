"""Folders of small painted images, and the source that reads them."""

from PIL import Image

from bench.contracts import registry


def source(root, **fields):
    return registry.parse("data", {"name": "image_folder", "root": str(root), **fields})


def paint(path, value=0, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value,) * len(mode)).save(path)
