"""Scores of anybody's code against a truth, and what is known of single cells."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.ranking import listed
from bench.spaces.nb201 import cells
from bench.truth._query import size

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def call(*words: object):
    return CliRunner().invoke(application(), [str(word) for word in words])


@pytest.fixture(scope="module")
def truth():
    return registry.parse("truth", "analog").load()


@pytest.fixture
def scores(tmp_path, monkeypatch, truth):
    """A file of scores as a proxy or a one-shot paper would publish it, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    names = [cells.encode(cell) for cell in cells.unique()[::20]]
    worth = truth.mean(names)
    values = worth + draws.normal(0, 3, len(names))
    lines = [
        f"{name},{value:.6f},{i}" for i, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    (tmp_path / "theirs.csv").write_text("arch,score,rank\n" + "\n".join(lines) + "\n")
    return names, values, worth


def test_tau_of_a_file_is_scipys_and_comes_with_panel_baseline_and_hash(scores):
    names, values, worth = scores
    done = call("rank", "--scores", "theirs.csv", "--json")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["tau"] == pytest.approx(stats.kendalltau(np.round(values, 6), worth).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(values, worth).statistic, abs=1e-6)
    weights = [float(cells.parameters(cells.decode(name))) for name in names]
    assert found["tau_parameters"] == pytest.approx(stats.kendalltau(weights, worth).statistic)
    assert found["tau_low"] < found["tau"] < found["tau_high"]
    assert found["n"] == len(names) and found["unknown"] == 0 and len(found["protocol"]) == 12
    lower = json.loads(call("rank", "--scores", "theirs.csv", "--lower", "--json").stdout)
    assert lower["tau"] == pytest.approx(-found["tau"]) and lower["protocol"] == found["protocol"]
    other = json.loads(call("rank", "--scores", "theirs.csv", "--column", "rank", "--json").stdout)
    assert other["tau"] != found["tau"]


def test_the_protocols_hash_is_of_the_cells_and_the_truth(truth):
    names = [cells.encode(cell) for cell in cells.unique()[:30]]
    rising = {name: float(i) for i, name in enumerate(names)}
    falling = {name: -float(i) for i, name in enumerate(names)}
    a, b = listed.rank(rising, truth), listed.rank(falling, truth)
    assert a.digest == b.digest != listed.rank(dict(list(rising.items())[1:]), truth).digest
    assert a.panel.tau.estimate == pytest.approx(-b.panel.tau.estimate)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cell,score\n", r"theirs.csv:1: no column 'arch'; columns: cell, score"),
        ("arch,value\n", r"theirs.csv:1: no column 'score'"),
        (f"arch,score\n{BEST},good\n", r"theirs.csv:2: score: 'good' is no number"),
        ("arch,score\n|x~0|,1\n", r"theirs.csv:2: arch: a NAS-Bench-201 cell has 3 nodes"),
        (f"arch,score\n{BEST},1\n{BEST},2\n", r"theirs.csv:3: arch: the cell of line 2 again"),
        (f"arch,score\n{BEST},1\n", r"needs two"),
    ],
)
def test_a_bad_file_is_a_line_with_file_line_and_column(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.csv").write_text(text)
    found = call("rank", "--scores", "theirs.csv")
    with pytest.raises(ValueError, match=said):
        raise found.exception
    assert "\n" not in str(found.exception)


def test_a_cell_is_found_by_string_tuple_and_index(truth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = cells.decode(BEST)
    words = [BEST, str(cell), ",".join(map(str, cell)), str(cells.index(cell))]
    found = json.loads(call("truth", "query", *words, "--json").stdout)
    assert [one["cell"] for one in found] == [BEST] * 4
    (measured,) = found[0]["measured"].values()
    assert measured["mean"] == pytest.approx(float(truth.mean([BEST])[0]))
    assert measured["regret"] == pytest.approx(truth.best - measured["mean"])
    near = measured["nearest"]
    assert len(near) == 5 and all(one["edges_apart"] == 1 for one in near)


@pytest.mark.parametrize(
    ("cell", "weights", "multiply_adds"),
    [
        ((1, 1, 1, 1, 1, 1), 0.073306, 7.78305),
        ((3, 3, 2, 1, 3, 3), 1.073466, 153.27297),
    ],
)
def test_sizes_are_the_benchmarks_own(cell, weights, multiply_adds):
    """`params` and `flop` in millions, as NAS-Bench-201 states them for CIFAR-10."""
    found = size(cell, registry.parse("spaces", "nb201"))
    assert found["weights"] / 1e6 == pytest.approx(weights, abs=1e-6)
    assert found["multiply_adds"] / 1e6 == pytest.approx(multiply_adds, rel=0.005)


@pytest.mark.parametrize("text", ["15625", "1,2,3", "9,9,9,9,9,9", "DARTS_V2", "|none~0|"])
def test_what_is_no_cell_is_said_in_a_line(text):
    found = call("truth", "query", text)
    assert isinstance(found.exception, ValueError) and str(found.exception).startswith(text)


def test_fetch_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    from torchvision.datasets import utils

    def refused(*words, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(utils, "download_file_from_google_drive", refused)
    found = call("truth", "fetch", "nas-bench-201", "--to", tmp_path)
    said = str(found.exception)
    assert "Network is unreachable" in said and "NAS-Bench-201-v1_1-096897.pth" in said
    assert list(tmp_path.iterdir()) == []


def test_fetch_keeps_what_is_there_and_refuses_another_file(tmp_path):
    (tmp_path / "NAS-Bench-201-v1_1-096897.pth").write_bytes(b"not it")
    found = call("truth", "fetch", "nas-bench-201", "--to", tmp_path)
    assert "is not the official file" in str(found.exception)
    assert "known: nas-bench-201" in str(call("truth", "fetch", "nothing").exception)
