"""The ceiling of τ: cells trained alone, by the trainer that `bench evaluate` uses."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Protocol
from bench.training import train
from bench.training.train import Evaluation, Recipe


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))


def test_both_taus_are_of_the_same_cells_and_the_nets_see_the_searchs_halves(searched, read):
    setup, state = searched(truth="analog")
    found = read(setup, state, "standalone_ranking", cells=4, epochs=2)
    cells = registry_cells(setup, 4)
    recipe = Recipe.model_validate({**setup.space.recipe, "epochs": 2, "test": "half"})
    alone = [
        train.evaluate(Evaluation(setup.space, cell, setup.settings.data, recipe, 0))["accuracy"]
        for cell in cells
    ]
    true = setup.truth.mean([setup.space.encode(cell) for cell in cells])
    shared = evaluate(setup, state, cells, Protocol()).accuracy
    assert found["alone_tau"] == pytest.approx(stats.kendalltau(alone, true)[0], nan_ok=True)
    supernet = stats.kendalltau(shared, true)[0]
    assert found["alone_tau_supernet"] == pytest.approx(supernet, nan_ok=True)
    short = found["alone_tau"] - found["alone_tau_supernet"]
    assert found["alone_tau_short"] == pytest.approx(short, nan_ok=True)
    assert found["alone_accuracy"] == pytest.approx(np.mean(alone)) and found["alone_cells"] == 4


def registry_cells(setup, count):
    from bench.contracts import registry

    instrument = registry.parse("instruments", {"name": "standalone_ranking", "cells": count})
    return instrument._drawn(setup, setup.truth)


def test_cells_do_not_depend_on_the_seed_and_no_two_are_one(searched):
    setup, _ = searched(truth="analog")
    cells = registry_cells(setup, 30)
    assert cells == registry_cells(replace(setup, seed=7), 30)
    assert len({setup.space.canonical(cell) for cell in cells}) == 30
    assert all(setup.space.connected(cell) for cell in cells)


def test_a_second_search_trains_nothing_again(searched, read, monkeypatch):
    setup, state = searched(truth="analog")
    first = read(setup, state, "standalone_ranking", cells=2, epochs=1)
    monkeypatch.setattr("bench.truth.standalone.evaluate", None)
    again = read(replace(setup, seed=5), state, "standalone_ranking", cells=2, epochs=1)
    assert again == pytest.approx(first, nan_ok=True)


def test_without_a_table_there_is_nothing_to_rank_by(searched, read):
    setup, state = searched(truth=None)
    assert all(math.isnan(v) for v in read(setup, state, "standalone_ranking").values())
