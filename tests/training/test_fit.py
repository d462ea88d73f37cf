"""Images that are too small are refused in one line, before anything is trained or searched."""

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.contracts.data import DataError, Images, NoTestImagesError
from bench.training.fit import refuse_small_for_supernet
from bench.training.tabulate import tabulate
from bench.training.tabulation import Tabulation
from bench.training.train import Evaluation, Recipe

SPACES = [
    {"name": "nb201", "channels": 4, "cells": 1},
    {"name": "darts", "channels": 4, "layers": 3},
]


def images(side):
    pixels = torch.zeros(4, 3, side, side, dtype=torch.uint8)
    return Images(pixels, torch.tensor([0, 1, 0, 1]), 2, (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("fields", SPACES, ids=lambda f: f["name"])
def test_the_size_that_is_named_is_enough(fields):
    space = registry.parse("spaces", fields)
    before = torch.get_rng_state()
    with pytest.raises(DataError, match=r"images of 1x1 pixels are too small.*; \d+x\d+ are") as e:
        refuse_small_for_supernet(space, images(1))
    assert "\n" not in str(e.value)
    refuse_small_for_supernet(space, images(int(str(e.value).split("; ")[1].split("x")[0])))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("fields", SPACES, ids=lambda f: f["name"])
def test_a_training_is_refused_too_and_its_network_is_not_touched(fields):
    space = registry.parse("spaces", fields)
    cell = space.sample(1, torch.Generator().manual_seed(0))[0]
    recipe = Recipe(auxiliary=0.4 if fields["name"] == "darts" else 0.0, drop_path=0.0)
    asked = Evaluation(space, cell, registry.parse("data", "digits"), recipe, 0)
    with pytest.raises(DataError, match=r"images of 2x2 pixels are too small for this network"):
        asked.check(images(2))
    asked.check(images(32))


def test_a_run_with_images_that_are_too_small_starts_nothing(tmp_path):
    words = ["run", "ablations/skip_dropout.yaml", "-p", "smoke", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(application(), [*words, "--set", "data.resolution=2"])
    assert isinstance(done.exception, DataError)
    assert "images of 2x2 pixels are too small for the supernet of nb201" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / "x" / split / label).mkdir(parents=True)
            for i in range(8):
                pixels = draws.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "x" / split / label / f"{i}.png")
    return tmp_path / "x"


def recipe(root):
    return Tabulation.model_validate(
        {
            "space": SPACES[0],
            "data": {"name": "image_folder", "root": root},
            "training": {
                "epochs": 1,
                "batch": 8,
                "test": "half",
                "cutout": 0,
                "auxiliary": 0.0,
                "drop_path": 0.0,
            },
            "population": {"size": 2},
        }
    )


def spoil(root):
    (root / "test" / "a" / "0.png").write_bytes(b"no image")


def unknown_class(root):
    (root / "test" / "b").rename(root / "test" / "c")


@pytest.mark.parametrize(("damage", "said"), [(spoil, "a/0.png"), (unknown_class, "test/c")])
def test_a_table_is_not_tabulated_without_its_test_images(folder, tmp_path, damage, said):
    damage(folder)
    with pytest.raises(DataError, match=said):
        tabulate(recipe(folder), tmp_path / "t.parquet", 1)
    assert not (tmp_path / "t.parquet").exists() and not (tmp_path / "t.trials").exists()


def test_data_that_have_no_test_images_are_tabulated(folder, tmp_path):
    import shutil

    shutil.rmtree(folder / "test")
    with pytest.raises(NoTestImagesError):
        recipe(folder).data.load(train=False)
    assert "test" not in recipe(folder).contents
