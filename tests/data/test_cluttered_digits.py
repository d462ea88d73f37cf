"""Cluttered digits: what is in an image, and that no digit is on both sides of a split."""

import itertools

import pytest
import torch
from sklearn.datasets import load_digits

from bench.contracts import registry
from bench.data.cluttered_digits import PARTS

PLAIN = {
    "name": "cluttered_digits",
    "fragments": 0,
    "noise": 0.0,
    "images": 1300,
    "test_images": 700,
}


def source(**changes):
    return registry.parse("data", {**PLAIN, **changes})


def shown(images):
    """Return the digits that are seen, cut out of their canvas: each image's 8x8 squares."""
    known = {tuple(d.flatten().tolist()) for d in torch.from_numpy(load_digits().images) / 16}
    found = []
    for image in images.pixels[:, 0].float() / 255:
        squares = image.unfold(0, 8, 1).unfold(1, 8, 1).flatten(0, 1).flatten(1)
        levels = (squares * 16).round() / 16
        # A canvas without clutter is black beside its digit.
        total = [
            tuple(s.tolist())
            for s, f in zip(levels, squares, strict=True)
            if abs(float(f.sum() - image.sum())) < 1e-4
        ]
        found.append(next((square for square in total if square in known), None))
    return found


def test_each_image_is_a_digit_at_some_place_and_the_parts_share_none():
    halves, test = source().halves(), source().load(train=False)
    digits = {
        part: shown(images)
        for part, images in zip(PARTS, (halves.train, halves.valid, test), strict=True)
    }
    for found in digits.values():
        assert None not in found
        counts = torch.tensor([found.count(digit) for digit in set(found)])
        assert len(counts) > 590 and counts.max() - counts.min() <= 1  # none more often than others
    for one, other in itertools.combinations(PARTS, 2):
        assert not set(digits[one]) & set(digits[other])
    labels = dict(
        zip(
            map(tuple, (load_digits().images.reshape(-1, 64) / 16).tolist()),
            load_digits().target.tolist(),
            strict=True,
        )
    )
    assert [labels[digit] for digit in digits["test"]] == test.labels.tolist()


def test_the_place_is_uniform_over_the_canvas():
    """The mean image of a canvas of 10x10 is that of the digits at their nine places."""
    images = source(canvas=10, images=9000).load().pixels[:, 0]
    digits = (torch.from_numpy(load_digits().images) > 0).float().mean(0)
    expected = torch.zeros(10, 10)
    for row, column in itertools.product(range(3), range(3)):
        expected[row : row + 8, column : column + 8] += digits / 9
    assert ((images > 0).float().mean(0) - expected).abs().max() < 0.03


def test_fragments_are_laid_over_and_noise_is_added():
    plain, cluttered = source().load(), source(fragments=6).load()
    assert torch.equal(plain.labels, cluttered.labels)
    assert (cluttered.pixels >= plain.pixels).all()  # the brighter pixel is seen
    added = (cluttered.pixels > plain.pixels).float().mean((1, 2, 3)) * 256
    assert added.max() <= 6 * 16 and 20 < added.mean() < 60
    noisy = source(noise=0.15).load().pixels.float() - plain.pixels.float()
    inside = (plain.pixels > 100) & (plain.pixels < 160)  # far from being clipped
    assert float(noisy[inside].std()) / 255 == pytest.approx(0.15, abs=0.01)


def test_the_parameters_are_what_they_say():
    images = source(canvas=12, images=60, test_images=20)
    assert images.load().pixels.shape == (60, 1, 12, 12)
    assert images.load(train=False).pixels.shape == (20, 1, 12, 12)
    assert images.extent() == (12, 60) and source(size=40).extent() == (16, 40)
    for wrong in ({"canvas": 7}, {"fragment": 9}, {"noise": -1}, {"fragments": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            source(**wrong)


def test_more_images_are_other_images_of_the_same_digits():
    assert len(source(images=5001).load()) == 5001
    halves = source(images=2000, size=1000).halves()
    assert len(halves.train) == len(halves.valid) == 500
    assert not set(shown(halves.train)) & set(shown(halves.valid))
