"""A space whose cells have no skips and no weight-free operations: nothing counts them, all say so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import scaffold
from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.cli import application
from bench.contracts import registry
from bench.report.summary import Summary

WITHOUT = {
    'OPERATIONS = ("none", "skip_connect", "conv_3x3", "max_pool_3x3")': (
        'OPERATIONS = ("conv_1x1", "conv_3x3", "conv_5x5")'
    ),
    'if name == "conv_3x3":': "if side := int(name[-1]):",
    "channels, channels, 3, padding=1, bias=False": (
        "channels, channels, side, padding=side // 2, bias=False"
    ),
    '- {"conv_3x3"}': "- frozenset(OPERATIONS)",
}
ASKED = """\
question: Does it change what is found?
contrast: {metric: %s, of: entropy, against: darts}
plugins: plugins
space: convolutions
variants:
  darts: {}
  entropy:
    entropy_penalty: {strength: 1.0}
"""
SMALL = """\
data: {name: digits, size: 60, resolution: 8}
truth: null
search: {epochs: 1, batch: 30}
instruments: [cell]
ranking: null
seeds: 2
device: cpu
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = scaffold.member("spaces", "convolutions")
    for old, new in WITHOUT.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "convolutions.py").write_text(text)
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> str:
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.output


def test_no_column_counts_what_the_space_does_not_have(folder: Path) -> None:
    (folder / "asked.yaml").write_text(ASKED % "train_accuracy")
    printed = call("run", "asked.yaml", "-p", "small.yaml", "-o", "runs", "--executor", "inline")
    summary = Summary.read(folder / "runs")
    for name in ("skip_count", "weight_free_share", "collapsed"):
        assert summary.variants[name].isna().all() and not summary.variants[f"{name}_n"].any()
        assert all(result.get(name) is None for result in summary.results.values())
    why = "no operation is a skip connection: there is no skip count to speak of"
    call("report", "runs", "--md", "--tex", "--csv")
    page = (folder / "runs" / "report.html").read_text()
    markdown = (folder / "runs" / "report.md").read_text()
    for text in (printed, page, markdown):
        flat = " ".join(re.sub(r"<[^>]+>", " ", text).split())
        assert why in flat and "no weight-free share and collapse rate to speak of" in flat
    row = next(line for line in markdown.splitlines() if line.startswith("| darts"))
    head = next(line for line in markdown.splitlines() if line.startswith("| variant"))
    shown = dict(zip(head.split("|"), row.split("|"), strict=True))
    assert {shown[f" {name} "].strip() for name in ("skips", "weight-free", "collapsed")} == {"—"}
    found = json.loads(summary.as_json())
    assert {row["collapsed"] for row in found["runs"]} == {None}
    one = next(folder.glob("runs/darts-seed0-*"))
    selected = call("select", str(one), "--rule", "argmax")
    assert "skips" not in selected and "weight-free" not in selected


@pytest.mark.parametrize("metric", ["skip_count", "weight_free_share", "collapsed"])
def test_what_says_nothing_cannot_be_asked(folder: Path, metric: str) -> None:
    (folder / "asked.yaml").write_text(ASKED % metric)
    with pytest.raises(ConfigError, match=rf"asked.yaml:2: contrast.metric: {metric} says nothing"):
        read_ablation(folder / "asked.yaml", "small.yaml")


@pytest.mark.parametrize(
    ("space", "silent"),
    [
        ({"name": "nb201"}, set()),
        ({"name": "darts"}, set()),
        ({"name": "darts", "operations": ["none", "sep_conv_3x3"]}, {"skip_count"}),
        (
            {"name": "darts", "operations": ["sep_conv_3x3", "sep_conv_5x5"]},
            {"skip_count", "weight_free_share", "collapsed"},
        ),
        (
            {"name": "darts", "operations": ["skip_connect", "max_pool_3x3"]},
            {"weight_free_share", "collapsed"},
        ),
    ],
)
def test_a_space_says_what_its_cells_cannot_show(
    space: dict[str, object], silent: set[str]
) -> None:
    member = registry.parse("spaces", space)
    assert set(member.says_nothing) == silent
    import torch

    (cell,) = member.sample(1, torch.Generator().manual_seed(0))
    cell = member.thin(cell, torch.Generator().manual_seed(0))
    counted = {
        name.removesuffix("_normal").removesuffix("_reduce") for name in member.describe(cell)
    }
    assert counted == {"skip_count", "weight_free_share"} - silent
