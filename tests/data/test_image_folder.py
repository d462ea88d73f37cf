"""Folders of images: which classes there are, what pixels mean, and what is refused by name."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data import DataError, NoTestImagesError, _decode
from tests.conftest import SHARED
from tests.data.painted import paint, source

pytestmark = pytest.mark.usefixtures("cache")


def one(root, **fields):
    """Return the single image of a folder that holds no other."""
    return source(root, **fields).load().pixels[0]


# Classes


@pytest.mark.parametrize(
    "change",
    [
        lambda test: shutil.rmtree(test / "a"),
        lambda test: [f.unlink() for f in (test / "a").iterdir()],
        lambda test: paint(test / ".ipynb_checkpoints" / "0.png"),
        lambda test: paint(test / "a" / "._0.png"),
        lambda test: (test / "0empty").mkdir(),
        lambda test: paint(test.parent / "train" / ".ipynb_checkpoints" / "0.png"),
        lambda test: (test.parent / "train" / "0empty").mkdir(),
        lambda test: (test / "a" / ".DS_Store").write_bytes(b"x"),
    ],
    ids=[
        "missing",
        "emptied",
        "hidden",
        "hidden file",
        "empty",
        "hidden in train",
        "empty in train",
        "hidden other file",
    ],
)
def test_labels_are_those_of_the_training_images(root, change):
    change(root / "test")
    train, test = source(root).load(), source(root).load(train=False)
    assert train.classes == test.classes == 2
    assert set(train.labels.tolist()) == {0, 1}
    # What is bright is b, in both.
    for images in (train, test):
        bright = images.pixels.flatten(1).float().mean(1) > 100
        assert torch.equal(images.labels, bright.long())


def test_a_class_that_training_lacks_is_refused(root):
    paint(root / "test" / "c" / "0.png")
    with pytest.raises(DataError, match=r"test/c': no training images are of this class.*a, b"):
        source(root).load(train=False)


def test_a_class_called_like_a_split_is_a_class(tmp_path):
    for label in ("bus", "test", "train"):
        paint(tmp_path / "x" / label / "0.png")
    found = source(tmp_path / "x")
    assert found.load().classes == 3
    with pytest.raises(NoTestImagesError):
        found.load(train=False)


def test_test_images_beside_the_classes_are_no_class(root):
    for label in ("a", "b"):
        shutil.move(root / "train" / label, root / label)
    (root / "train").rmdir()
    assert source(root).load().labels.tolist() == [0] * 4 + [1] * 4
    assert source(root).load(train=False).labels.tolist() == [0] * 4 + [1] * 4


def test_a_class_with_other_files_only_is_refused_by_name(root):
    shutil.rmtree(root / "train" / "a")
    (root / "train" / "a" / "deeper").mkdir(parents=True)
    with pytest.raises(DataError, match=r"train/a' holds no image, but '.*deeper'"):
        source(root).load()


def test_home_is_written_out(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(source("~/x").load()) == 8
    with pytest.raises(ValueError, match=r"nobody-of-this-name"):
        source("~nobody-of-this-name/x")


# Pixels


def test_sixteen_bits_are_scaled(tmp_path):
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    for name, make in {
        "x.png": Image.fromarray(values),
        "x.tif": Image.fromarray(values),
        "x.pgm": Image.fromarray(values.astype(np.int32)),
    }.items():
        (tmp_path / name / "a").mkdir(parents=True)
        make.save(tmp_path / name / "a" / name, "PPM" if name == "x.pgm" else None)
        found = one(tmp_path / name, grey=True)[0].numpy()
        assert np.array_equal(found, np.round(values / 257).astype(np.uint8)), name


def test_opaque_palettes_and_alpha_are_exact_and_transparency_is_refused(tmp_path):
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 255, (6, 6, 3), dtype=np.uint8)
    few = Image.fromarray(pixels).quantize(16)
    folder = tmp_path / "x" / "a"
    folder.mkdir(parents=True)
    for image, wanted in (
        (few, np.asarray(few.convert("RGB"))),
        (Image.fromarray(np.dstack([pixels, np.full((6, 6), 255, np.uint8)])), pixels),
    ):
        image.save(folder / "0.png")
        assert np.array_equal(one(tmp_path / "x").permute(1, 2, 0).numpy(), wanted)
    see_through = Image.fromarray(np.dstack([pixels, np.full((6, 6), 254, np.uint8)]))
    few.info["transparency"] = int(np.asarray(few)[0, 0])
    for image in (see_through, few):
        image.save(folder / "0.png", transparency=image.info.get("transparency"))
        with pytest.raises(DataError, match=r"a/0.png': has transparent pixels"):
            one(tmp_path / "x")


def test_images_lie_as_their_orientation_says(tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    image = Image.fromarray(pixels)
    (tmp_path / "x" / "a").mkdir(parents=True)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned right by a quarter
    image.save(tmp_path / "x" / "a" / "0.png", exif=exif)
    assert np.array_equal(one(tmp_path / "x", grey=True)[0].numpy(), np.rot90(pixels, -1))


def test_sizes_are_one_or_resized(root):
    paint(root / "train" / "a" / "9.png", 10, (12, 9))
    with pytest.raises(DataError, match=r"a/9.png' is 12x9, the first image 6x6 .*data.resize"):
        source(root).load()
    found = source(root, resize=5).load()
    assert found.pixels.shape == (9, 3, 5, 5) and found.pixels[4].unique().tolist() == [10]


def test_transparency_of_sixteen_bits_is_refused(tmp_path):
    (tmp_path / "x" / "a").mkdir(parents=True)
    image = Image.fromarray(np.arange(36, dtype=np.uint16).reshape(6, 6) * 1000)
    image.save(tmp_path / "x" / "a" / "0.png", transparency=7)  # no pixel has it
    assert one(tmp_path / "x", grey=True).shape == (1, 6, 6)
    image.save(tmp_path / "x" / "a" / "0.png", transparency=5000)
    with pytest.raises(DataError, match=r"a/0.png': has transparent pixels"):
        one(tmp_path / "x")


# Images that would be passed over


@pytest.mark.parametrize("name", ["z.PNG", "z.jpe", "z.JFIF", "z.gif", "z.Tiff", "z.webp"])
def test_whatever_a_known_kind_of_image_is_called_it_counts(root, name):
    kind = {".jpe": "JPEG", ".jfif": "JPEG"}.get(Path(name).suffix.lower())
    Image.new("RGB", (6, 6), (9, 9, 9)).save(root / "train" / "a" / name, kind)
    found = source(root).load()
    assert found.labels.tolist() == [0] * 5 + [1] * 4
    assert abs(float(found.pixels[4].float().mean()) - 9) < 2


@pytest.mark.parametrize("name", ["z.heic", "z.AVIF", "deeper/z.png", "deeper/z.avif"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_are_not_read_are_refused_by_name(root, split, name):
    path = root / split / "b" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    with pytest.raises(DataError, match=name):
        source(root).load(train=split == "train")
    path.unlink()
    (path.parent / "notes.txt").write_text("x")  # what is no image is left alone
    assert len(source(root).load(train=split == "train")) == 8


# Files that are none


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """Damage the pixels of a PNG, whose checksum tells."""
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(data)


def dangling(path):
    path.unlink()
    path.symlink_to(path.parent / "gone")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def bomb(path):
    Image.new("1", (20_000, 20_000)).save(path)


def floats(path):
    Image.fromarray(np.zeros((6, 6), np.float32)).save(path, "TIFF")


def frames(path):
    first = Image.new("RGB", (6, 6))
    first.save(path, "TIFF", save_all=True, append_images=[first])


DAMAGES = [
    cut, flip, dangling, pipe, endless, bomb, floats, frames,
    lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"no image"),
    lambda path: (path.unlink(), path.mkdir()),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_no_sound_image_is_named_in_one_line(root, damage, split):
    damage(root / split / "b" / "2.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"b/2\.png") as caught:
            source(root).load(train=split == "train")
    assert "\n" not in str(caught.value)


def test_whatever_a_decoder_raises_names_the_file(root, monkeypatch):
    for error in (SyntaxError("broken"), MemoryError(), IndexError(), RuntimeError("a\nb")):

        def fail(*arguments, error=error):
            raise error

        monkeypatch.setattr(_decode, "_pixels", fail)
        with pytest.raises(DataError, match=r"a/0\.png'") as caught:
            source(root).load()
        assert "\n" not in str(caught.value)


def test_a_file_that_another_program_would_decode_is_not_given_to_it(root, tmp_path, monkeypatch):
    """PostScript is a program, and Pillow runs Ghostscript on it, whatever the file is called."""
    ran = tmp_path / "ran"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 6\n%%EndComments\nshowpage\n"
    path = root / "train" / "a" / "2.png"
    path.write_text(text)
    with pytest.raises(OSError), Image.open(path) as image:  # it would
        image.load()
    assert ran.exists()
    ran.unlink()
    with pytest.raises(DataError, match=r"a/2\.png': no image of PNG"):
        source(root).load()
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"no image", b"<svg/>", b"GIF89a"])
def test_what_is_no_image_is_said_without_the_decoders_insides(root, content):
    (root / "train" / "a" / "2.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a/2\.png'") as caught:
        source(root).load()
    assert "object at" not in str(caught.value)


def test_real_images_have_the_same_pixels_as_ever(tmp_path):
    archive = SHARED / "cifar10" / "cifar10-jpeg.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    import tarfile

    with tarfile.open(archive) as opened:
        chosen = [m for m in opened if m.isfile() and m.name.endswith(("7.jpg", "7.jpeg"))][:200]
        opened.extractall(tmp_path / "x", chosen, filter="data")
    top = next(p for p in (tmp_path / "x").rglob("*") if any(p.glob("*/*.jp*g")))
    found = source(top).load()
    files = sorted((p.parent.name, p.name) for p in top.glob("*/*.jp*g"))
    assert len(found) == len(files)
    for i in (0, len(files) // 2, -1):
        wanted = np.asarray(Image.open(top.joinpath(*files[i])).convert("RGB"))
        assert np.array_equal(found.pixels[i].permute(1, 2, 0).numpy(), wanted)
