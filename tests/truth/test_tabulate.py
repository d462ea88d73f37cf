"""Trained tables: the same numbers however they were made, and nothing lost on the way."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from bench.ablation.yamlfile import ConfigError
from bench.batches import training_batch
from bench.cli import application
from bench.contracts.truth import TruthError
from bench.spaces.nb201 import cells
from bench.training import tabulate
from bench.training import train as evaluation
from bench.training.tabulation import Tabulation, read_recipe
from bench.truth.table import Table
from tests.executors.common import until

RECIPE = """
space: {name: nb201, channels: 2, cells: 1, affine: true, running_statistics: true}
data: {name: digits, size: 120}
training: {epochs: 2, batch: 30, lr: 0.1, clip: null, drop_path: 0, cutout: 0, auxiliary: 0, test: half}
population: {size: 4, disconnected: false}
seeds: 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Tabulation:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return read_recipe(tmp_path / "tiny.yaml", [])


def rows(journal: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    for row in read:
        assert row.pop("train_seconds") > 0 and row.pop("checksum")
    return sorted(read, key=lambda row: (row["seed"], row["arch"]))


def test_a_trial_is_plain_training(recipe: Tabulation) -> None:
    """Against a loop written out here: SGD with momentum by hand, half the rate in epoch two."""
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    tabulate.prepare(recipe)
    row = tabulate.train((cell, 7))
    halves = recipe.data.halves()
    network = recipe.space.network(cells.decode(cell), 1, 10, 7)
    weights = list(network.parameters())
    velocity = [torch.zeros_like(w) for w in weights]
    rates = [0.1, 0.1, 0.05, 0.05]  # a cosine by epoch: 0 and 90 degrees
    assert len(halves.train) == 60  # two steps per epoch, two epochs
    for step, rate in enumerate(rates):
        batch = training_batch(halves.train, 30, step, 7, "evaluation")
        loss = F.cross_entropy(network(batch.images), batch.labels)
        for w, v, g in zip(weights, velocity, torch.autograd.grad(loss, weights), strict=True):
            g = g + 3e-4 * w.detach()
            v.mul_(0.9).add_(g)
            w.data -= rate * v
    accuracy, loss = evaluation.measure(network, halves.valid, 7)
    assert row["valid_loss"] == pytest.approx(loss, rel=1e-5)
    assert row["valid_accuracy"] == pytest.approx(accuracy)
    assert row["parameters"] == pytest.approx(sum(w.numel() for w in weights) / 1e6)
    assert row["budget"] == 2 and "test_accuracy" not in row  # digits has no test images


def test_operations_are_counted_by_hand() -> None:
    """One 3x3 convolution from 1 to 2 channels on 8x8 pixels: 1,152 multiplications."""
    from bench.contracts.data import Images

    pixels = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    images = Images(pixels, torch.zeros(1).long(), 10, (0,), (1,))
    network = torch.nn.Conv2d(1, 2, 3, padding=1)
    assert tabulate.operations(network, images) == pytest.approx(1152e-6)


def test_resumed_in_parts_and_in_parallel_gives_the_same_table(
    recipe: Tabulation, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    done = tabulate.tabulate(recipe, whole, jobs=1)
    assert done == {"trials": 8, "missing": 0, "failed": {}}
    fewer = recipe.model_copy(update={"seeds": 1})
    assert tabulate.tabulate(fewer, parts, jobs=2)["trials"] == 4
    journal = parts.with_suffix(".trials") / tabulate.JOURNAL
    text = journal.read_text()
    journal.write_text(text[:-20])  # killed while it wrote the last line
    assert tabulate.tabulate(recipe, parts, jobs=2)["trials"] == 8
    assert rows(journal) == rows(whole.with_suffix(".trials") / tabulate.JOURNAL)
    truth = Table(path=parts, column="digits_valid_2").load()
    assert len(truth.accuracy) == 4 and all(len(v) == 2 for v in truth.accuracy.values())
    assert "trained by bench truth tabulate" in truth.provenance and "epochs=2" in truth.provenance
    before = parts.read_bytes()
    tabulate.tabulate(recipe, parts, jobs=1)
    assert parts.read_bytes() == before  # nothing to do


def test_trials_of_another_recipe_are_never_mixed(recipe: Tabulation, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    one = recipe.model_copy(update={"seeds": 1})
    tabulate.tabulate(one, out, jobs=1)
    other = one.model_copy(
        update={
            "training": evaluation.Recipe(
                epochs=1, batch=30, auxiliary=0, drop_path=0, cutout=0, test="half"
            )
        }
    )
    with pytest.raises(TruthError, match="another space, data or training"):
        tabulate.tabulate(other, out, jobs=1)


def test_a_damaged_journal_is_refused(recipe: Tabulation, tmp_path: Path) -> None:
    tmp_path.joinpath("t.trials").mkdir()
    head = json.dumps({"recipe": recipe.digest})
    (tmp_path / "t.trials" / tabulate.JOURNAL).write_text(f"{head}\n{{broken\n")
    with pytest.raises(TruthError, match=r"trials.jsonl:2: damaged"):
        tabulate.tabulate(recipe, tmp_path / "t.parquet", jobs=1)


def test_a_trial_that_raises_is_missing_and_said(
    recipe: Tabulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *rest = recipe.trials()

    def outcomes(*_: Any) -> Any:
        yield first, "MemoryError: too large"
        tabulate.prepare(recipe)
        for trial in rest:
            yield trial, tabulate.train(trial)

    monkeypatch.setattr(tabulate, "_outcomes", outcomes)
    done = tabulate.tabulate(recipe, tmp_path / "t.parquet", jobs=1)
    assert done["missing"] == 1 and done["failed"] == {first: "MemoryError: too large"}
    truth = Table(path=tmp_path / "t.parquet", column="digits_valid_2").load()
    assert sum(v.size - int((v == v).sum()) for v in truth.accuracy.values()) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("training: {epochs: 0}", r"r.yaml:3: training.epochs"),
        ("training: {epoch: 3}", r"r.yaml:3: training.epoch: unknown field"),
        ("seeds: none", r"r.yaml:3: seeds"),
        ("population: {kind: best}", r"r.yaml:3: population.kind"),
        ("question: why", r"r.yaml:3: question: unknown field"),
    ],
)
def test_a_recipe_is_refused_in_one_line(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "r.yaml").write_text(f"space: nb201\ndata: digits\n{line}\n")
    with pytest.raises(ConfigError, match=words):
        read_recipe(tmp_path / "r.yaml", [])


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    out = tmp_path / "t.parquet"
    words = ["truth", "tabulate", str(tmp_path / "tiny.yaml"), "-o", str(out), "-j", "1"]
    done = CliRunner().invoke(
        application(), [*words, "--set", "seeds=1", "--set", "population.size=3"]
    )
    assert done.exit_code == 0 and "3 trials" in done.stdout
    told = CliRunner().invoke(application(), ["truth", "info", str(out)])
    assert told.exit_code == 0 and "digits_valid_2" in told.stdout
    with pytest.raises(ConfigError, match=r"--set training\.epochs=x"):
        read_recipe(tmp_path / "tiny.yaml", ["training.epochs=x"])


def test_what_is_done_of_a_seed_is_a_fair_sample_of_its_cells() -> None:
    """So that a table cut short still tells how far two seeds agree."""
    asked = read_recipe(Path("ablations/truth/digits.yaml"), ["seeds=2"])
    trials = asked.trials()
    cells_in_order = [cell for cell, seed in trials if seed == 0]
    turns = sorted(trials, key=asked.turn)
    assert [seed for _, seed in turns] == sorted(seed for _, seed in trials)
    place = {cell: at for at, cell in enumerate(cells_in_order)}
    for start in (0, len(place)):
        first = [place[cell] / len(place) for cell, _ in turns[start : start + 600]]
        assert abs(sum(first) / 600 - 0.5) < 4 * 0.289 / 600**0.5


STRATIFIED = """
space: {name: nb201, channels: 2, cells: 1}
data: {name: cluttered_digits, canvas: 8, images: 60, test_images: 20}
training: {epochs: 1, batch: 30, clip: null, drop_path: 0, cutout: 0, auxiliary: 0}
population: {kind: stratified, top_tenth: share, size: 20, disconnected: false}
truth: analog
first: ["|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"]
"""


def test_a_stratified_sample_says_what_its_cells_stand_for(tmp_path: Path) -> None:
    """The weights of what is done add up to the population, stratum by stratum, also when cut short."""
    (tmp_path / "r.yaml").write_text(STRATIFIED)
    asked = read_recipe(tmp_path / "r.yaml", [])
    design, (told,) = asked.design(), asked.told
    assert design[told] == (0.0, -1)  # not drawn: it stands for no other cell
    assert len(design) == 21 and sum(weight for weight, _ in design.values()) == pytest.approx(6461)
    assert min(asked.trials(), key=asked.turn) == (told, 0)
    strata = {stratum for _, stratum in design.values()} - {-1}
    halved = [cell for cell in design if cell == told]
    for label in strata:
        members = [cell for cell, (_, stratum) in design.items() if stratum == label]
        halved += members[: len(members) // 2]
    weights = asked.weights(halved)
    assert set(weights) == set(halved) and weights[told] == 0
    assert sum(weights.values()) == pytest.approx(6461)
    for label in strata:
        own = [cell for cell, (_, stratum) in design.items() if stratum == label]
        assert sum(weights.get(cell, 0) for cell in own) == pytest.approx(
            sum(design[cell][0] for cell in own)
        )


def test_a_sample_reads_back_with_its_weights_and_test_images(tmp_path: Path) -> None:
    """All training images are trained on and the test images tested on, where the recipe says so."""
    (tmp_path / "r.yaml").write_text(STRATIFIED)
    asked = read_recipe(tmp_path / "r.yaml", [])
    out = tmp_path / "t.parquet"
    assert tabulate.tabulate(asked, out, jobs=1)["missing"] == 0
    truth = Table(path=out, column="cluttered_digits_test_1").load()
    names = list(truth.reference)
    assert dict(zip(names, truth.weights(names), strict=True)) == pytest.approx(
        {cell: weight for cell, (weight, _) in asked.design().items()}
    )
    by_hand = sum(truth.weight[n] * truth.accuracy[n][0] for n in names) / 6461
    assert truth.random == pytest.approx(by_hand)
    worse = sum(truth.weight[n] for n in names if truth.accuracy[n][0] < 15)
    assert truth.percentile(15.0) == pytest.approx(100 * worse / 6461)
    cell = names[0]
    whole = evaluation.Evaluation(
        asked.space, asked.space.decode(cell), asked.data, asked.training, 0
    )
    assert [len(part) for part in whole.images()] == [60, 20]
    assert evaluation.evaluate(whole)["accuracy"] == pytest.approx(truth.accuracy[cell][0], abs=5.1)


def test_a_table_without_its_journal_is_gone_on_with(tmp_path: Path) -> None:
    """As it is kept under version control: what it holds is not trained again."""
    (tmp_path / "r.yaml").write_text(RECIPE.replace("seeds: 2", "seeds: 1"))
    asked = read_recipe(tmp_path / "r.yaml", [])
    out = tmp_path / "t.parquet"
    tabulate.tabulate(asked, out, jobs=1)
    before = Table(path=out, column="digits_valid_2").load().accuracy
    shutil.rmtree(tabulate.journal_folder(out))
    both = asked.model_copy(update={"seeds": 2})
    assert len(tabulate.kept(both, out)) == 4
    other = asked.model_copy(update={"training": asked.training.model_copy(update={"epochs": 1})})
    shutil.rmtree(tabulate.journal_folder(out))
    assert not tabulate.kept(other, out)  # of another recipe nothing is taken
    shutil.rmtree(tabulate.journal_folder(out))
    assert tabulate.tabulate(both, out, jobs=1)["trials"] == 8
    after = Table(path=out, column="digits_valid_2").load().accuracy
    assert all(after[cell][0] == before[cell][0] for cell in before)


def test_a_first_cell_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(STRATIFIED.replace("none~0|none~1|+", "nune~0|none~1|+"))
    with pytest.raises(ConfigError, match=r"first.0: "):
        read_recipe(tmp_path / "r.yaml", [])


def test_an_interruption_leaves_nothing_running(recipe: Tabulation, tmp_path: Path) -> None:
    many = recipe.model_copy(update={"seeds": 200})

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:  # kept, as by the command line: so are frames
        tabulate.tabulate(many, tmp_path / "t.parquet", 2, interrupt)
    assert caught.tb is not None
    left = [p for p in multiprocessing.active_children() if "resource" not in p.name]
    assert not left
    assert len(rows(tmp_path / "t.trials" / "trials.jsonl")) == 1


def descendants(pid: int) -> list[int]:
    """List the processes that a process started, and those that they started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(") ")[2].split()[1] == str(pid):
                child = int(stat.parent.name)
                found += [child, *descendants(child)]
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_workers_end_when_the_command_is_killed(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("seeds: 2", "seeds: 1000"))
    table = tmp_path / "t.parquet"
    words = ["truth", "tabulate", str(tmp_path / "tiny.yaml"), "-o", str(table), "--jobs", "2"]
    command = subprocess.Popen([sys.executable, "-m", "bench", *words], stderr=subprocess.DEVNULL)
    journal = table.with_suffix(".trials") / "trials.jsonl"
    until(lambda: journal.exists() and journal.read_text().count("\n") > 2, command, every=0.1)
    started = descendants(command.pid)
    assert len(started) >= 4  # a server, two workers, multiprocessing's tracker
    command.kill()
    command.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), every=0.1)


def test_damaged_test_images_are_an_error_and_none_are_not(tmp_path: Path) -> None:
    """A table without test accuracies would look like one of data that have no test images."""
    from PIL import Image

    for name in ("train/a/0.png", "train/a/1.png", "train/b/0.png", "train/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    content = {
        "space": {"name": "nb201", "channels": 4, "cells": 1},
        "data": {"name": "image_folder", "root": str(tmp_path)},
        "training": {"epochs": 1, "test": "half"},
        "population": {"size": 2},
        "seeds": 1,
    }
    asked = Tabulation.model_validate(content)
    assert set(tabulate.images_of(asked)) == {"train", "valid"} and set(asked.contents) == {"train"}
    (tmp_path / "test" / "a").mkdir(parents=True)
    (tmp_path / "test" / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"test/a/0\.png"):
        tabulate.images_of(Tabulation.model_validate(content))
    (tmp_path / "test" / "a" / "0.png").unlink()  # the folder is there, and says nothing
    with pytest.raises(ValueError, match="no images under"):
        _ = Tabulation.model_validate(content).contents
