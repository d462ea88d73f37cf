"""A network that was found leaves: its logits are the same in a process that has torch alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from bench import make_ablation, run, train
from bench.cli import application
from bench.spaces.nb201 import cells
from bench.training.taken import network_of

pytest.importorskip("safetensors", reason="needs safetensors (the extra `export`)")

ALONE = """
import sys
sys.modules["bench"] = None  # whoever imports it fails
sys.path[:] = [p for p in sys.path if p != {checkout!r}]
sys.path.insert(0, {folder!r})
import torch, model
net = model.load({folder!r} + "/model.safetensors")
with torch.no_grad():
    torch.save(net(torch.load({folder!r} + "/images.pt")), {folder!r} + "/logits.pt")
net.train()(torch.rand(4, *torch.load({folder!r} + "/images.pt").shape[1:])).sum().backward()
assert not [name for name in sys.modules if name.startswith("bench.")]
"""
GENOTYPES = {
    "nb201": (cells.encode((3, 4, 2, 1, 3, 0)), {"channels": 4, "cells": 1}, {}),
    "darts": ("DARTS_V2", {"channels": 4, "layers": 3}, {"auxiliary": 0.4, "drop_path": 0.2}),
}


def leaves(folder, to, tmp_path):
    """Export a folder's network, run it elsewhere, and return both kinds of logits."""
    done = CliRunner().invoke(application(), ["export", str(folder), "--model", str(to)])
    assert done.exit_code == 0, done.exception
    network, _, sample, _ = network_of(folder)
    torch.save(sample, to / "images.pt")
    code = ALONE.format(folder=str(to), checkout=str(tmp_path))
    alone = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert alone.returncode == 0, alone.stderr
    with torch.no_grad():
        return network.eval()(sample), torch.load(to / "logits.pt")


@pytest.mark.parametrize("space", GENOTYPES)
def test_a_trained_network_has_the_same_logits_elsewhere(space, tmp_path):
    cell, sizes, extra = GENOTYPES[space]
    recipe = {"epochs": 1, "test": "half", "batch": 16, "device": "cpu", **extra}
    found = train(
        cell, {"name": "digits", "size": 64}, output=tmp_path / "run", space=sizes, **recipe
    )
    ours, theirs = leaves(tmp_path / "run", tmp_path / "model", tmp_path)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert ours.std() > 0
    told = json.loads((tmp_path / "model/config.json").read_text())
    assert told["genotype"] == found["genotype"] and told["accuracy"] == found["accuracy"]
    card = (tmp_path / "model/README.md").read_text()
    assert (
        found["genotype"] in card
        and f"{found['accuracy']:.2f} %" in card
        and "| epochs | 1 |" in card
    )
    assert "bench" not in (tmp_path / "model/model.py").read_text().replace("Written by bench", "")


def test_a_found_cell_leaves_with_its_supernets_weights(tmp_path):
    asked = {
        "question": "?",
        "contrast": {"metric": "skip_count", "of": "a", "against": "darts"},
        "variants": {"darts": {}, "a": {"skip_dropout": {"rate": 0.3}}},
    }
    sets = ["search.epochs=1", "ranking=null"]
    run(
        make_ablation(asked, "smoke", sets=sets, seeds=1),
        tmp_path / "o",
        executor="inline",
        only=["darts"],
    )
    (folder,) = (tmp_path / "o").glob("darts-*")
    ours, theirs = leaves(folder, tmp_path / "model", tmp_path)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert "supernet" in (tmp_path / "model/README.md").read_text()


def test_what_holds_no_network_is_said(tmp_path):
    done = CliRunner().invoke(
        application(), ["export", str(tmp_path), "--model", str(tmp_path / "m")]
    )
    assert (
        "neither a folder of `bench evaluate" in str(done.exception)
        and not (tmp_path / "m").exists()
    )
