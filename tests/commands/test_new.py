"""`bench new variant NAME` writes a variant that works, and refuses what would do harm."""

import importlib

import pytest
from typer.testing import CliRunner

import bench.variants
from bench.ablation.yamlfile import loads
from bench.cli import application
from bench.contracts import registry
from bench.search.loop import search
from bench.search.setup import build, initial_state


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Let the scaffold write into a folder of its own that is part of the package."""
    folder = tmp_path / "variants"
    folder.mkdir()
    monkeypatch.setattr(bench.variants, "__path__", [str(folder), *bench.variants.__path__])
    importlib.invalidate_caches()
    return folder


def new(name):
    return CliRunner().invoke(application(), ["new", "variant", name])


def test_the_scaffold_is_a_variant_that_runs_and_is_short(elsewhere, small, tmp_path):
    done = new("my_penalty")
    assert done.exit_code == 0, done.exception
    text = (elsewhere / "my_penalty.py").read_text()
    assert len(text.splitlines()) <= 40 and max(map(len, text.splitlines())) <= 100
    document = loads(done.stdout, tmp_path / "x.yaml").data
    entry = document["variants"]["my_penalty"]["my_penalty"]
    variant = registry.parse("variants", {"name": "my_penalty", **entry})
    off = registry.parse("variants", {"name": "my_penalty", **variant.off})
    alphas = []
    for variants in ([], [off], [variant]):
        setup = build(small(), variants, seed=0)
        state = initial_state(setup)
        search(setup, state)
        alphas.append(state.architecture["alpha"].tolist())
    assert alphas[0] == alphas[1] != alphas[2]


@pytest.mark.parametrize("name", ["Skip", "1st", "a-b", "a b", "../x", "_x", "class", "", "é"])
def test_bad_names_are_refused(name, elsewhere):
    done = new(name)
    assert done.exit_code != 0 and list(elsewhere.iterdir()) == []


def test_an_existing_name_is_refused(elsewhere):
    done = new("skip_dropout")
    assert "already" in str(done.exception) and list(elsewhere.iterdir()) == []
