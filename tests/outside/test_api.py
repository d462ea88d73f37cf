"""What Python programs use: small, lazy, and the same as the commands."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import bench
from bench.ablation.yamlfile import ConfigError
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state
from bench.spaces.nb201 import cells

SETTINGS = {
    "space": {"name": "nb201", "channels": 4, "cells": 1},
    "data": {"name": "digits", "size": 128},
    "search": {"epochs": 2, "batch": 32},
    "device": "cpu",
    "ranking": None,
}


def test_importing_costs_nothing_and_offers_what_it_says():
    code = (
        "import sys, bench\n"
        "assert not {'torch', 'pandas', 'pydantic', 'bench.api'} & set(sys.modules)\n"
        "assert all(getattr(bench, name) is not None and name in dir(bench) for name in bench.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = bench.nothing_of_the_kind


def test_step_by_step_is_the_search_itself():
    stepped, by_epoch = (bench.Search(SETTINGS, ["skip_dropout"], seed=3) for _ in range(2))
    steps = 0
    while stepped.step():
        steps += 1
    records = list(by_epoch.epochs())
    setup = build(
        Settings.model_validate({**SETTINGS, "selection": "argmax"}),
        list(stepped.setup.composition.variants),
        3,
    )
    state = initial_state(setup)
    search(setup, state)
    assert steps == 2 * setup.steps_per_epoch and stepped.over and by_epoch.over
    assert len(records) == 2
    # As text: what has no meaning is NaN, which is no other than NaN.
    assert len({repr(h) for h in (records, by_epoch.history, stepped.history, state.history)}) == 1
    for one in (stepped, by_epoch):
        assert torch.equal(one.alpha, state.architecture["alpha"])
        assert all(
            torch.equal(a, b)
            for a, b in zip(one.supernet.parameters(), state.supernet.parameters(), strict=True)
        )
    assert stepped.mixture.shape == (6, 5) and cells.decode(stepped.cell())


def test_an_ablation_from_python_is_read_as_a_file_is(tmp_path):
    asked = {
        "question": "?",
        "contrast": {"metric": "skip_count", "of": "a", "against": "darts"},
        "variants": {"darts": {}, "a": {"skip_dropout": {"rate": 0.3}}},
    }
    found = bench.make_ablation(asked, {"data": "digits", "seeds": 2}, name="mine")
    assert found.name == "mine" and len(found.arms) == 2 and found.seeds == (0, 1)
    assert bench.make_ablation(asked, "smoke", seeds=[7]).seeds == (7,)
    with pytest.raises(ConfigError, match="did you mean 'skip_dropout'"):
        bench.make_ablation({**asked, "variants": {"darts": {}, "a": {"skip_droput": {}}}}, "smoke")


def test_rank_and_query_take_what_programs_have():
    names = [cells.encode(cell) for cell in cells.unique()[:60]]
    found = bench.rank({name: float(i) for i, name in enumerate(names)})
    assert found.panel.n == 60 and len(found.digest) == 12
    one = bench.query((3, 1, 3, 1, 1, 3))
    assert one == bench.query(one["cell"]) == bench.query(one["index"])


def test_train_is_evaluate(tmp_path):
    cell = cells.encode((3, 1, 3, 1, 1, 3))
    options = {"epochs": 1, "test": "half", "batch": 32, "device": "cpu"}
    found = bench.train(
        cell,
        {"name": "digits", "size": 80},
        output=tmp_path,
        space={"channels": 2, "cells": 1},
        **options,
    )
    assert found["genotype"] == cell and 0 <= found["accuracy"] <= 100
    assert (tmp_path / "evaluation.json").exists()
