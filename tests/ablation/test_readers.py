"""Whatever reads settings reads them in one way: a mistake is one line, another member starts afresh."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.commands.rank import read_protocol
from bench.contracts import registry
from bench.executors import _options
from bench.ranking.protocol import Protocol
from bench.ranking.sweep import read_protocols
from bench.training.asked import read as read_evaluation
from bench.training.tabulation import read_recipe

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
ASKED = """\
question: q
contrast: {metric: true_accuracy, of: b, against: a}
space: nb201
variants:
  a: {}
  b: {skip_dropout: {rate: 0.3}}
"""
PROFILE = """\
data: {name: cluttered_digits, size: 60, fragments: 2}
truth: {name: standalone, epochs: 2, training: {batch: 20}}
search: {epochs: 1, batch: 30}
selection: {name: perturbation, epochs: 1}
seeds: 2
device: cpu
"""
RECIPE = """\
space: {name: nb201, channels: 4, cells: 1}
data: {name: cluttered_digits, size: 60, fragments: 2}
training: {epochs: 1}
population: {kind: unique, size: 2}
seeds: 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "asked.yaml").write_text(ASKED)
    (tmp_path / "small.yaml").write_text(PROFILE)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ablation(*sets: str) -> Any:
    return read_ablation(Path("asked.yaml"), "small.yaml", sets=list(sets)).arms[0].settings


def recipe(*sets: str) -> Any:
    return read_recipe(Path("recipe.yaml"), list(sets))


def evaluation(*sets: str) -> Any:
    return read_evaluation(CELL, ["data.name=cluttered_digits", "data.fragments=2", *sets], 0)


def ranked(*sets: str) -> Any:
    standalone = registry.parse("truth", {"name": "standalone", "epochs": 2})
    return read_protocol(Protocol(), standalone, None, list(sets))


def executor(*sets: str) -> Any:
    return _options.make("slurm", None, list(sets))


@pytest.mark.parametrize(
    ("reader", "assignment", "field", "hint"),
    [
        (ablation, "search.epoch=3", "search.epoch", "epochs"),
        (ablation, "data.fragmentss=3", "data.fragmentss", "fragments"),
        (ablation, "truth.training.bach=3", "truth.training.bach", "batch"),
        (recipe, "training.epoch=3", "training.epoch", "epochs"),
        (recipe, "data.fragmentss=3", "data.fragmentss", "fragments"),
        (evaluation, "epoch=3", "epoch", "epochs"),
        (evaluation, "space.cels=3", "space.cels", "cells"),
        (ranked, "imagess=3", "imagess", "images"),
        (ranked, "population.siz=3", "population.siz", "size"),
        (executor, "slurm.partitio=x", "slurm.partitio", "partition"),
    ],
)
def test_an_option_that_is_no_field_is_one_line_with_what_was_perhaps_meant(
    reader: Callable[..., Any], assignment: str, field: str, hint: str
) -> None:
    with pytest.raises(ValueError) as caught:
        reader(assignment)
    assert (
        str(caught.value) == f"--set {assignment}: {field}: unknown field; did you mean {hint!r}?"
    )


@pytest.mark.parametrize(
    ("reader", "assignment", "field"),
    [
        (ablation, "search.epochs=many", "search.epochs"),
        (recipe, "training.epochs=many", "training.epochs"),
        (evaluation, "epochs=many", "epochs"),
        (ranked, "images=many", "images"),
        (executor, "slurm.gpus=many", "slurm.gpus"),
    ],
)
def test_a_value_that_is_none_is_one_line(
    reader: Callable[..., Any], assignment: str, field: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        reader(assignment)
    text = str(caught.value)
    assert text.startswith(f"--set {assignment}: {field}: ") and "\n" not in text and "many" in text


@pytest.mark.parametrize("name", ["small.yaml", "recipe.yaml"])
def test_what_stands_in_a_file_is_named_by_its_line(folder: Path, name: str) -> None:
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("fragments: 2", "fragmentss: 2"))
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "fragments: 2" in one)
    with pytest.raises(
        ConfigError, match=rf"{name}:{line}: data.fragmentss: unknown field; did you"
    ):
        (ablation if name == "small.yaml" else recipe)()


def test_a_protocol_file_is_named_by_its_line(folder: Path) -> None:
    (folder / "p.yaml").write_text("images: 40\npopulation:\n  siz: 3\n")
    with pytest.raises(ConfigError, match=r"p.yaml:3: population.siz: unknown field; did you mean"):
        read_protocols(folder / "p.yaml", Protocol())
    with pytest.raises(ConfigError, match=r"p.yaml:3: population.siz: unknown field; did you mean"):
        read_protocol(Protocol(), None, folder / "p.yaml", [])


@pytest.mark.parametrize(
    ("reader", "assignment", "of"),
    [
        (ablation, "data.name=digits", lambda found: found.data),
        (ablation, "truth.name=analog", lambda found: found.truth),
        (ablation, "selection.name=argmax", lambda found: found.selection),
        (recipe, "data.name=digits", lambda found: found.data),
        (evaluation, "data.name=digits", lambda found: found.data),
        (ranked, "truth.name=analog", lambda found: found[1]),
    ],
)
def test_another_member_takes_nothing_of_the_old_one(
    reader: Callable[..., Any], assignment: str, of: Callable[[Any], Any]
) -> None:
    found = of(reader(assignment))
    assert found.name == assignment.partition("=")[2]
    if assignment.startswith("data") and reader is not evaluation:
        assert found.size == 60  # what every source of images has stays


def test_nothing_else_reads_assignments() -> None:
    """``--set`` is taken apart in `bench.ablation.layers` alone."""
    package = Path(registry.__file__).parents[1]
    others = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in ("assignment", "value_of"):
                others.append(f"{path.relative_to(package)}")
    assert sorted(set(others)) == [
        "ablation/file.py",
        "ablation/layers.py",
        "executors/_options.py",
    ]
