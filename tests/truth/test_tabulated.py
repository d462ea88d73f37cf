"""A sample trained beforehand and found cells trained when found: together one truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.ranking.measure import measure
from bench.ranking.population import Population
from bench.runs.run import judge_cell
from bench.search.settings import Settings
from bench.search.setup import Setup, build, initial_state
from bench.training import tabulate
from bench.training.train import Evaluation, Recipe, evaluate
from bench.truth import tabulated as member
from bench.truth._ranked import Ranked

TRAINING = {"test": "half", "batch": 20, "lr": 0.05}
TRUTH = {"name": "tabulated", "epochs": 1, "training": TRAINING, "sample": 20}
BASE = {
    "space": {"name": "nb201", "channels": 2, "cells": 1},
    "selection": "argmax",
    "data": {"name": "digits", "size": 80},
    "truth": TRUTH,
    "device": "cpu",
    "kernel": "torch",  # nothing to compile in a fresh cache
    "ranking": {"population": {"kind": "known", "size": 15}, "images": 40, "resamples": 0},
}


def in_this_process(recipe: Any, todo: Any, jobs: int) -> Any:
    tabulate.prepare(recipe)
    for trial in todo:
        yield trial, tabulate.train(trial)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One cache for all tests of this file: the sample is trained once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("BENCH_CACHE", str(folder))
        patch.setattr("bench.devices.cores", lambda: 1)
        yield folder


def setup(**changes: Any) -> Setup:
    return build(Settings.model_validate({**BASE, **changes}), [], seed=0)


def truth_of(made: Setup) -> Ranked:
    assert isinstance(made.truth, Ranked)
    return made.truth


def test_the_sample_is_trained_once_and_is_what_evaluation_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = setup()
    assert "20 of 20 trainings to do" in capsys.readouterr().err
    truth, space = truth_of(made), made.space
    drawn = Population(size=20, disconnected=False).draw(space).cells
    assert list(truth.reference) == [space.encode(cell) for cell in drawn]
    asked = Evaluation(
        truth.space,
        drawn[3],
        made.settings.data,
        Recipe.model_validate({**space.recipe, **TRAINING, "epochs": 1}),
        0,
    )
    assert truth.accuracy[space.encode(drawn[3])][0] == pytest.approx(
        evaluate(asked)["accuracy"], abs=2.6
    )  # one image of 40: another memory layout rounds otherwise
    monkeypatch.setattr(tabulate, "tabulate", None)  # nothing is left to train
    again = truth_of(setup())
    assert again.sha256 == truth.sha256 and "to do" not in capsys.readouterr().err
    for cell, values in truth.accuracy.items():
        np.testing.assert_array_equal(again.accuracy[cell], values)


def test_a_found_cell_is_looked_up_itself_or_a_twin_or_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = setup()
    truth, space = truth_of(made), made.space
    trained: list[str] = []
    train = Ranked._train

    def recorded(self: Ranked, cell: str, *rest: Any) -> float:
        trained.append(cell)
        return train(self, cell, *rest)

    monkeypatch.setattr(Ranked, "_train", recorded)
    sampled = set(truth.reference)
    classes = {space.canonical(space.decode(cell)): cell for cell in sampled}
    twin = next(
        c
        for c in space.architectures()
        if space.canonical(c) in classes and space.encode(c) not in sampled
    )
    known = classes[space.canonical(twin)]
    assert (
        truth.accuracy_of(space.encode(twin))
        == truth.accuracy_of(known)
        == truth.accuracy[known][0]
    )
    assert not trained
    unknown = next(c for c in space.unique() if space.canonical(c) not in classes)
    name = space.encode(unknown)
    assert np.isnan(truth.mean([name])).all()  # a look-up along the search trains nothing
    found = judge_cell(made, unknown)
    assert trained == [name] and 0 <= found["true_accuracy"] <= 100
    assert list(truth.reference) and name not in truth.reference
    means = truth.mean(truth.reference)
    assert found["percentile"] == pytest.approx(100 * (means < found["true_accuracy"]).mean())
    assert found["regret"] == means.max() - found["true_accuracy"]
    assert found["truth"]["cells"] == 20 and found["truth"]["random"] == pytest.approx(means.mean())
    assert truth.accuracy_of(name) == found["true_accuracy"] and trained == [name]


def test_supernets_are_ranked_on_the_sample() -> None:
    made = setup()
    assert made.settings.ranks and made.settings.ranking is not None
    ranking = measure(made, initial_state(made), made.settings.ranking)
    assert len(ranking.table) == 15 and set(ranking.table["arch"]) <= set(truth_of(made).reference)
    assert not ranking.table["truth"].isna().any() and np.isfinite(ranking.accuracy.tau.estimate)


def test_a_larger_sample_and_more_seeds_add_to_what_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup()
    capsys.readouterr()
    larger = truth_of(setup(truth={**TRUTH, "sample": 22}))
    assert "2 of 22 trainings to do" in capsys.readouterr().err
    assert set(truth_of(setup()).reference) < set(larger.reference)
    both = truth_of(setup(truth={**TRUTH, "seeds": 2}))
    assert "20 of 40 trainings to do" in capsys.readouterr().err
    assert all(len(row) == 2 for row in both.accuracy.values())
    assert len({larger.sha256, both.sha256, truth_of(setup()).sha256}) == 3
    setup(truth={**TRUTH, "training": {**TRAINING, "lr": 0.01}})
    assert "20 of 20 trainings to do" in capsys.readouterr().err  # another recipe, another table


def test_what_cannot_be_trained_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member.Tabulated, "_rows", lambda self, recipe: {})
    with pytest.raises(ValueError, match="tabulated: no cell of the sample could be trained"):
        setup()


def test_one_file_of_settings_gives_accuracy_regret_and_tau(tmp_path: Path) -> None:
    """As docs/own_data.md says it, on images of one's own."""
    from tests.data.test_data import folder

    folder(tmp_path / "mine", (8, 8))
    out = tmp_path / "out"
    given = [
        "data.name=image_folder",
        f"data.root={tmp_path / 'mine'}",
        "truth.name=tabulated",
        "truth.epochs=1",
        "truth.sample=20",
        "truth.training.batch=4",
        "truth.network.channels=2",
        "ranking.population.kind=known",
        "ranking.images=4",
        "ranking.batch=4",
        "kernel=torch",
        "search.epochs=1",
        "search.batch=2",
        "data.size=null",
        "data.resolution=8",
    ]
    words = [
        "run",
        "ablations/skip_dropout.yaml",
        "--profile",
        "smoke",
        "--only",
        "darts",
        "--executor",
        "inline",
        "--seeds",
        "1",
        "-o",
        str(out),
        *(x for s in given for x in ("--set", s)),
    ]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0, done.output
    (result,) = (json.loads(path.read_text()) for path in out.glob("*/result.json"))
    assert 0 <= result["true_accuracy"] <= 100 and result["regret"] is not None
    assert result["ranked"] == 20 and "tau" in result
    assert "20 cells drawn at random" in result["truth"]["provenance"]
