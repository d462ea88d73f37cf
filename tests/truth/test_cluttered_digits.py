"""The table that comes with the package: what the recipe in `ablations/truth` says, and small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.contracts import registry
from bench.tables.long import metadata
from bench.tables.unpickle import read_bytes
from bench.tables.wide import LARGEST, parquet_file
from bench.training.tabulation import Tabulation, read_recipe
from bench.truth.cluttered_digits import TABLE

RECIPE = Path("ablations/truth/cluttered_digits.yaml")


@pytest.fixture(scope="module")
def recipe() -> Tabulation:
    return read_recipe(RECIPE, [])


def test_the_file_is_small_and_of_the_recipe_that_is_shipped(recipe: Tabulation) -> None:
    assert TABLE.stat().st_size < 1 << 20
    said = metadata(parquet_file(read_bytes(TABLE, LARGEST), str(TABLE)))
    asked = recipe.model_dump(mode="json", include={"space", "data", "training"})
    assert json.loads(said["source"]) == asked
    assert said["sha256"] == recipe.digest  # `bench truth tabulate` goes on with it


def test_it_is_a_weighted_sample_in_which_six_skips_are_worth_less_than_a_random_cell(
    recipe: Tabulation,
) -> None:
    truth = registry.parse("truth", "cluttered_digits").load()
    drawn = [cell for cell in truth.reference if truth.weight[cell] > 0]
    design = recipe.model_copy(update={"first": ()}).design()
    assert set(drawn) <= set(design) and len(drawn) >= 40
    assert sum(truth.weight[cell] for cell in drawn) == pytest.approx(6461)
    skips, pools, residual = truth.mean(
        [truth.space.encode(cell) for cell in ((1,) * 6, (4,) * 6, (3, 1, 3, 1, 1, 3))]
    )
    assert pools < skips < truth.random < residual
    assert truth.percentile(skips) < 30
    seeds = np.stack([truth.accuracy[cell] for cell in drawn])
    assert (~np.isnan(seeds)).sum(axis=0)[1] >= 25  # enough for a noise ceiling
