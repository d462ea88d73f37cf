"""Halves, batches and folders of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.batches import augment, normalise, plain_batches, training_batch
from bench.contracts import registry
from bench.contracts.data import DataError, Images


def test_digits_halves_are_disjoint_balanced_and_the_same_every_time():
    source = registry.parse("data", "digits")
    first, second = source.halves(), source.halves()
    assert len(first.train) + len(first.valid) == 1797
    assert torch.equal(first.train.pixels, second.train.pixels)
    difference = first.train.labels.bincount() - first.valid.labels.bincount()
    assert difference.abs().max() <= 1
    other = registry.parse("data", {"name": "digits", "split_seed": 1}).halves()
    assert not torch.equal(first.train.labels, other.train.labels)


def test_size_is_a_balanced_draw():
    images = registry.parse("data", {"name": "digits", "size": 100}).load()
    assert len(images) == 100
    assert images.labels.bincount().tolist() == [10] * 10


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own():
    images = registry.parse("data", {"name": "digits", "size": 128}).load()
    epochs = [
        torch.cat([training_batch(images, 32, 4 * e + s, 0, "train").images for s in range(4)])
        for e in range(2)
    ]
    assert not torch.equal(*epochs)
    rows = [sorted(map(tuple, e.flatten(1).tolist())) for e in epochs]
    assert rows[0] == rows[1]


def test_augmentation_shifts_and_mirrors_each_image_on_its_own():
    pixels = torch.arange(1, 65, dtype=torch.uint8).view(1, 1, 8, 8).expand(200, 1, 8, 8)
    draws = torch.Generator().manual_seed(0)
    out = augment(pixels, crop=2, flip=True, draws=draws)
    padded = torch.nn.functional.pad(pixels[0, 0], (2, 2, 2, 2))
    expected = {
        tuple(view[a : a + 8, b : b + 8].flatten().tolist())
        for view in (padded,)
        for a in range(5)
        for b in range(5)
    }
    expected |= {tuple(torch.tensor(e).view(8, 8).flip(1).flatten().tolist()) for e in expected}
    found = {tuple(image.flatten().tolist()) for image in out[:, 0]}
    assert found <= expected and len(found) > 40


def test_normalised_batches_have_zero_mean_and_unit_deviation():
    images = registry.parse("data", "digits").load()
    batch = normalise(images, images.pixels)
    assert abs(batch.mean()) < 0.01 and abs(batch.std() - 1) < 0.01


def test_evaluation_batches_leave_no_handful_behind():
    images = Images(
        torch.zeros(107, 1, 2, 2, dtype=torch.uint8), torch.zeros(107).long(), 2, (0.0,), (1.0,)
    )
    assert [len(b.labels) for b in plain_batches(images, 50)] == [50, 57]
    assert [len(b.labels) for b in plain_batches(images, 50, 80)] == [50, 30]


def folder(root, sizes=(6, 6)):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (root / split / label).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 255, (*sizes, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{i}.png")


def test_image_folder_is_decoded_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    folder(tmp_path / "x")
    source = registry.parse("data", {"name": "image_folder", "root": str(tmp_path / "x")})
    first = source.load()
    assert first.pixels.shape == (8, 3, 6, 6) and first.labels.tolist() == [0] * 4 + [1] * 4
    (cached,) = (tmp_path / "cache").glob("images-*")
    cached.write_bytes(b"damaged")
    assert torch.equal(source.load().pixels, first.pixels)
    Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(tmp_path / "x/train/cat/0.png")
    assert source.load().pixels[0].sum() == 0


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist", "svhn"])
def test_missing_data_names_the_command_that_gets_it(name, tmp_path):
    source = registry.parse("data", {"name": name, "root": str(tmp_path)})
    with pytest.raises(DataError, match=f"python -m bench data fetch {name}") as caught:
        source.load()
    assert "\n" not in str(caught.value)


def test_folder_errors_are_one_line(tmp_path):
    missing = registry.parse("data", {"name": "image_folder", "root": str(tmp_path / "none")})
    with pytest.raises(DataError, match="unpack images"):
        missing.load()
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "x.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="cannot decode"):
        registry.parse("data", {"name": "image_folder", "root": str(tmp_path)}).load()


def embedded():
    """Return the sources that need no files: they can be read wherever the tests run."""
    found = []
    for name in registry.names("data"):
        fields = registry.load("data", name).model_fields
        if "root" not in fields:
            found.append(name)
    return found


def same(one, other):
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", registry.names("data"))
def test_contract(name):
    source = registry.load("data", name)
    assert source.summary().endswith(".") and "split_seed" in source.model_fields


@pytest.mark.parametrize("name", embedded())
def test_contract_of_what_is_embedded(name):
    """Reproducible split, halves that make up the training images, sizes, what is declared."""
    source = registry.parse("data", {"name": name, "size": 400})
    assert registry.parse("data", registry.dump(source)) == source
    whole, halves = source.load(), source.halves()
    assert whole.pixels.dtype == torch.uint8 and whole.pixels.dim() == 4 and len(whole) == 400
    assert source.extent() == (whole.pixels.shape[-1], 400)
    assert len(halves.train) == len(halves.valid) == 200
    assert whole.labels.min() >= 0 and whole.labels.max() < whole.classes
    for half in (halves.train, halves.valid):
        assert half.labels.bincount(minlength=whole.classes).min() >= 0.5 * 200 / whole.classes
        assert (half.mean, half.std) == (whole.mean, whole.std)
    again = registry.parse("data", {"name": name, "size": 400})
    assert same(again.load(), whole)
    assert same(again.halves().train, halves.train) and same(again.halves().valid, halves.valid)
    other = registry.parse("data", {"name": name, "size": 400, "split_seed": 1}).halves()
    assert not same(other.train, halves.train)
    rows = [
        set(map(tuple, half.pixels.flatten(1).tolist())) for half in (halves.train, halves.valid)
    ]
    assert not rows[0] & rows[1]
    small = registry.parse("data", {"name": name, "resolution": 4}).load()
    assert small.pixels.shape[-2:] == (4, 4)
    with pytest.raises(DataError, match=f"size: 9999999 images asked for, {name} has"):
        registry.parse("data", {"name": name, "size": 9_999_999}).halves()


def test_svhn_is_read_as_published_and_not_mirrored(tmp_path, monkeypatch):
    """The official files are [32, 32, 3, N] with labels 1 to 10, 10 being the digit 0."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 255, (32, 32, 3, 5), dtype=np.uint8)
    labels = np.array([[10], [1], [2], [10], [9]], dtype=np.uint8)
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels, "y": labels})
    monkeypatch.setattr(SVHN, "_check_integrity", lambda self: True)  # of the real files' bytes
    found = registry.parse("data", {"name": "svhn", "root": str(tmp_path)}).load()
    assert found.labels.tolist() == [0, 1, 2, 0, 9] and not found.flip and found.crop == 4
    assert np.array_equal(found.pixels.numpy(), pixels.transpose(3, 2, 0, 1))


def test_the_digits_are_scikit_learn_s_own_read_by_whichever_way(monkeypatch):
    from sklearn.datasets import load_digits

    from bench.data import _digits

    known = load_digits()
    for file in (_digits.FILE, Path("elsewhere")):
        monkeypatch.setattr(_digits, "FILE", file)
        images, labels = _digits.digits()
        assert images.dtype == known.images.dtype and (images == known.images).all()
        assert (labels == known.target).all()
