"""Found cells trained on their own: as `bench evaluate` does, once, and nothing else made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.contracts.truth import TruthError
from bench.ranking.measure import measure
from bench.runs.cost import multiply_adds
from bench.runs.run import judge_cell
from bench.runs.spec import RunSpec
from bench.search.loop import Interrupted
from bench.search.settings import Settings
from bench.search.setup import Setup, build, initial_state
from bench.training import train as evaluation
from bench.training.asked import read
from bench.training.train import epoch_of
from bench.truth.standalone import Trained

TRAINING = {"test": "half", "batch": 20, "drop_path": 0.2, "cutout": 2, "auxiliary": 0}
TRUTH = {"name": "standalone", "epochs": 2, "training": TRAINING, "network": {"channels": 4}}
BASE = {
    "space": {"name": "darts", "channels": 2, "layers": 3},
    "selection": "argmax",
    "data": {"name": "digits", "size": 80},
    "truth": TRUTH,
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "standalone"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record (seed, epoch) of everything that is trained."""
    found: list[tuple[int, int]] = []

    def recorded(asked: Any, *rest: Any) -> Any:
        found.append((asked.seed, rest[-1]))
        return epoch_of(asked, *rest)

    monkeypatch.setattr(evaluation, "epoch_of", recorded)
    return found


def setup(**changes: Any) -> Setup:
    return build(Settings.model_validate({**BASE, **changes}), [], seed=0)


def truth_of(made: Setup) -> Trained:
    assert isinstance(made.truth, Trained)
    return made.truth


def test_it_is_what_bench_evaluate_says() -> None:
    made = setup()
    cell = made.space.spell("DARTS_V2")
    sets = ["data=digits", "data.size=80", "space.channels=4", "space.layers=3", "epochs=2"]
    sets += [f"{key}={value}" for key, value in TRAINING.items()]
    expected = evaluation.evaluate(read("DARTS_V2", sets, 0))["accuracy"]
    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        assert truth_of(made).accuracy_of(cell) == expected
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(was)
    assert truth_of(made).split == "valid" and truth_of(made).budget == 2


def test_nothing_is_known_that_was_not_asked(trained: list[Any]) -> None:
    """A look-up along the search trains nothing, and ranks that have no meaning are missing."""
    made = setup(truth={**TRUTH, "seeds": 2})
    cell = made.space.decode("DARTS_V1")
    assert np.isnan(truth_of(made).mean([made.space.encode(cell)])).all() and not trained
    found = judge_cell(made, cell)
    assert trained == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found["true_accuracy"] == truth_of(made).accuracy[made.space.encode(cell)].mean()
    assert np.isnan([found["regret"], found["percentile"], found["truth"]["best"]]).all()
    assert found["truth"]["cells"] == 0 and "channels=4 layers=3" in found["truth"]["provenance"]
    with pytest.raises(ValueError, match="a ranking needs ground truth that knows cells"):
        measure(made, initial_state(made), made.settings.ranking)
    assert not made.settings.ranks


def test_a_training_is_kept_and_told_apart(trained: list[Any], cache: Path) -> None:
    cell = registry.parse("spaces", "darts").spell("DARTS_V2")
    first = truth_of(setup()).accuracy_of(cell)
    count = len(trained)
    assert truth_of(setup()).accuracy_of(cell) == first and len(trained) == count
    assert not list(cache.glob("*/checkpoint.pt"))
    for changes in (
        {"data": {"name": "digits", "size": 80, "split_seed": 1}},
        {"truth": {**TRUTH, "training": {**TRAINING, "lr": 0.01}}},
        {"truth": {**TRUTH, "network": {}}},
        {"truth": {**TRUTH, "epochs": 1}},
    ):
        before = len(trained)
        truth_of(setup(**changes)).accuracy_of(cell)
        assert len(trained) > before
    assert len(list(cache.iterdir())) == 5
    for kept in cache.glob("*/evaluation.json"):
        kept.write_text('{"accuracy": "high"}')  # damaged: not believed
    before = len(trained)
    assert truth_of(setup()).accuracy_of(cell) == first and len(trained) == before + 2


def test_an_interrupted_training_goes_on(trained: list[Any], cache: Path) -> None:
    cell = registry.parse("spaces", "darts").spell("PC_DARTS")
    whole = truth_of(setup()).accuracy_of(cell)
    shutil.rmtree(cache)
    trained.clear()

    def stop(text: str) -> None:
        if text.startswith("epoch 1/"):
            raise Interrupted

    with pytest.raises(Interrupted):
        truth_of(setup()).accuracy_of(cell, stop)
    assert truth_of(setup()).accuracy_of(cell) == whole and trained == [(0, 0), (0, 1)]
    # A checkpoint that is no good is not in the way.
    shutil.rmtree(cache)
    with pytest.raises(Interrupted):
        truth_of(setup()).accuracy_of(cell, stop)
    (path,) = cache.glob("*/checkpoint.pt")
    path.write_bytes(path.read_bytes()[:-9])
    assert truth_of(setup()).accuracy_of(cell) == whole


def test_what_diverges_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    def diverged(*_: Any) -> Any:
        raise ArithmeticError("training loss is nan in epoch 1, step 0")

    monkeypatch.setattr(evaluation, "epoch_of", diverged)
    made = setup()
    found = judge_cell(made, made.space.decode("DARTS_V2"))
    assert np.isnan(found["true_accuracy"]) and np.isnan(found["percentile"])
    assert "stand-alone training diverged" in capsys.readouterr().err
    assert not list(cache.glob("*/evaluation.json"))


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        ({"training": {}}, r"digits has no test images.*truth.training.test=half"),
        ({"network": {"channels": 0}}, r"network.channels: "),
        ({"network": {"cells": 2}}, r"network.cells: "),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_runs(
    truth: dict[str, Any], says: str
) -> None:
    with pytest.raises(TruthError, match=says) as caught:
        setup(truth={**TRUTH, **truth})
    assert "\n" not in str(caught.value)


def test_networks_without_an_auxiliary_head_refuse_one() -> None:
    training = {**TRAINING, "drop_path": 0, "auxiliary": 0.4}
    with pytest.raises(TruthError, match=r"standalone: auxiliary: networks of NAS-Bench-201"):
        setup(
            space={"name": "nb201", "channels": 2, "cells": 1},
            truth={**TRUTH, "training": training},
        )


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["truth.name=standalone"], r"truth.epochs: missing"),
        (
            ["truth.name=standalone", "truth.epochs=2", "truth.training.epoch=3"],
            r"truth.*training\.epoch: ",
        ),
        (
            ["truth.name=standalone", "truth.epochs=2", "truth.training.epochs=3"],
            r"truth.training: say epochs as truth.epochs",
        ),
        (["truth.name=standalone", "truth.epochs=0"], r"truth.epochs"),
    ],
)
def test_a_mistake_in_an_ablation_is_one_line(sets: list[str], says: str) -> None:
    words = ["plan", "ablations/darts_space/s2.yaml", "--profile", "smoke"]
    done = CliRunner().invoke(application(), [*words, *(x for s in sets for x in ("--set", s))])
    assert done.exit_code != 0 and done.exception is not None
    text = str(done.exception)
    assert "\n" not in text
    import re

    assert re.search(says, text), text


def test_plan_counts_what_is_trained() -> None:
    """Half of 80 images, 2 epochs, 3 times a forward pass of a random cell; twice with 2 seeds."""

    def cost(**truth: Any) -> float:
        settings = Settings.model_validate({**BASE, "truth": {**TRUTH, **truth}})
        return multiply_adds(
            RunSpec(ablation="a", label="b", seed=0, variants=(), settings=settings)
        )

    without = multiply_adds(
        RunSpec(
            ablation="a",
            label="b",
            seed=0,
            variants=(),
            settings=Settings.model_validate({**BASE, "truth": None}),
        )
    )
    space = registry.parse("spaces", {**BASE["space"], "channels": 4})
    forward = space.size(8).operations / 1e9 / 8 * 8 / 14  # one of 8 operations on 8 of 14 edges
    assert cost() - without == pytest.approx(2 * 40 * 3 * forward)
    assert cost(seeds=2) - without == pytest.approx(2 * (cost() - without))


@pytest.mark.parametrize(
    ("file", "sets", "trained_on"),
    [
        ("ablations/darts_space/s4.yaml", ["truth.training.auxiliary=0"], "channels=4 layers=3"),
        ("ablations/skip_dropout.yaml", [], "channels=4 cells=1"),
    ],
)
def test_any_ablation_can_be_judged_by_it(
    tmp_path: Path, file: str, sets: list[str], trained_on: str
) -> None:
    out = tmp_path / "out"
    given = [
        "truth.name=standalone",
        "truth.epochs=1",
        "truth.training.test=half",
        "truth.training.batch=20",
        "data.size=64",
        "search.epochs=1",
        *sets,
    ]
    words = [
        "run",
        file,
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
    assert 0 <= result["true_accuracy"] <= 100 and result["regret"] is None
    assert "tau" not in result and trained_on in result["truth"]["provenance"]
    assert all(entry["true_accuracy"] is None for entry in result["history"])
    page = (out / "report.html").read_text()
    assert "derived cells trained from scratch" in page and "does not know" not in page
