"""Runs are there whole or not at all; what was interrupted goes on bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bench.ablation.file import read_ablation
from bench.contracts.executor import Executor
from bench.executors.inline import Inline
from bench.executors.processes import Processes
from bench.runs import checkpoint, index, store
from bench.runs.campaign import Campaign
from bench.runs.run import execute
from bench.runs.spec import plan

ROOT = Path(__file__).parents[2]
FILE = ROOT / "ablations" / "skip_dropout.yaml"


def specs(*sets, only=("darts", "skip_dropout_0.3"), seeds="1"):
    return plan(read_ablation(FILE, "smoke", list(sets), seeds), only)


def numbers(folder):
    result = store.read_result(folder)
    assert result is not None
    skip = {"seconds", "search_seconds", "ranking_seconds", "checksum", "provenance"}
    return {key: value for key, value in result.items() if key not in skip}


def weights(folder):
    return checkpoint.load(folder / store.CHECKPOINT)["supernet"]


def identical(a, b):
    assert numbers(a) == numbers(b)
    first, second = weights(a), weights(b)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path):
    (spec,) = specs("search.epochs=6", only=["skip_dropout_0.3"])
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert execute(spec, whole) == "ok"
    store.write_spec(broken, spec)
    worker = [sys.executable, "-m", "bench.runs.worker", str(broken)]
    process = subprocess.Popen(worker, cwd=ROOT)
    while store.read_progress(broken).get("epoch", 0) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert store.read_result(broken) is None and (broken / store.CHECKPOINT).exists()
    assert subprocess.run(worker, cwd=ROOT).returncode == 0
    identical(whole, broken)


def test_sigterm_finishes_the_step_and_keeps_a_checkpoint(tmp_path):
    (spec,) = specs("search.epochs=200", only=["darts"])
    store.write_spec(tmp_path, spec)
    process = subprocess.Popen([sys.executable, "-m", "bench.runs.worker", str(tmp_path)], cwd=ROOT)
    while store.read_progress(tmp_path).get("epoch", 0) < 1:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    assert store.read_result(tmp_path) is None
    assert checkpoint.load(tmp_path / store.CHECKPOINT, spec.digest)["step"] > 0


def test_executors_give_the_same_bits_and_cached_runs_are_not_run_again(tmp_path):
    runs = specs(seeds="2")
    for name, executor in (("inline", Inline()), ("processes", Processes(jobs=2))):
        campaign = Campaign(tmp_path / name, runs)
        campaign.run(executor, interval=0.02)
        assert set(campaign.ended.values()) == {"ok"} and len(campaign.ended) == 4
    for spec in runs:
        identical(tmp_path / "inline" / spec.folder, tmp_path / "processes" / spec.folder)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("inline/*/result.json")}
    again = Campaign(tmp_path / "inline", runs)
    again.run(Inline(), interval=0.02)
    assert len(again.cached) == 4 and not again.ended
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())
    forced = Campaign(tmp_path / "inline", runs[:1])
    forced.run(Inline(), interval=0.02, force=True)
    assert len(forced.ended) == 1
    assert len(index.rows(tmp_path / "inline")) == 4


def test_failures_are_recorded_counted_and_not_cached(tmp_path):
    (spec,) = specs("search.weights.lr=1e30", "search.weights.clip=null", only=["darts"])
    campaign = Campaign(tmp_path, [spec])
    campaign.run(Inline(), interval=0.02)
    folder = campaign.folder(spec)
    assert campaign.ended == {folder: "diverged"}
    result = store.read_result(folder)
    assert "not finite in epoch 1" in result["error"] and not store.done(folder)
    assert [row["status"] for row in index.rows(tmp_path)] == ["diverged"]
    assert "NaN" not in (folder / store.RESULT).read_text()


class Dying(Inline):
    """An executor whose first runs die."""

    def poll(self):
        ended = super().poll()
        if self._deaths > 0:
            object.__setattr__(self, "_deaths", self._deaths - 1)
            for folder in ended:
                (folder / store.RESULT).unlink()
            return dict.fromkeys(ended, "killed")
        return ended


@pytest.mark.parametrize(("deaths", "status"), [(2, "ok"), (3, "killed")])
def test_killed_runs_are_started_again_twice(tmp_path, deaths, status):
    executor: Executor = Dying()
    object.__setattr__(executor, "_deaths", deaths)
    (spec,) = specs(only=["darts"])
    campaign = Campaign(tmp_path, [spec])
    campaign.run(executor, interval=0.01)
    assert list(campaign.ended.values()) == [status]


def test_a_changed_or_torn_result_is_not_believed(tmp_path):
    store.write_json(tmp_path / store.RESULT, store.seal({"status": "ok", "tau": 0.1}))
    assert store.done(tmp_path)
    text = (tmp_path / store.RESULT).read_text()
    (tmp_path / store.RESULT).write_text(text.replace("0.1", "0.9"))
    assert store.read_result(tmp_path) is None
    for cut in range(0, len(text), 7):
        (tmp_path / store.RESULT).write_text(text[:cut])
        assert store.read_result(tmp_path) is None


def test_every_flipped_bit_and_cut_of_a_checkpoint_is_detected(tmp_path):
    path = tmp_path / "c.pt"
    checkpoint.save(path, "me", {"x": torch.arange(10), "n": 3})
    content = path.read_bytes()
    assert checkpoint.load(path, "me")["n"] == 3
    for position in range(0, len(content), max(1, len(content) // 60)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.load(path)
        path.write_bytes(content[:position])
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.load(path)
    path.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match="belongs to run me"):
        checkpoint.load(path, "you")


class Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def test_a_hostile_checkpoint_executes_nothing(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "c.pt"
    checkpoint.save(path, "me", {"x": Evil(canary)})
    with pytest.raises(checkpoint.CheckpointError, match="refused") as caught:
        checkpoint.load(path)
    assert not canary.exists() and "\n" not in str(caught.value)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f.json"
    store.write_json(path, {"a": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_read_is_byte_for_byte_what_would_be_written(tmp_path):
    content = {"a": [1, [], {}, [[1.5, None], ["x["]], "]"], "b": {"c": {"d": True}}, "e": "{\n"}
    path = tmp_path / "x.json"
    store.write_json(path, store.seal(content))
    text = path.read_bytes()
    assert store.read_sealed(path) == store.seal(content)
    for at in range(len(text)):
        for changed in (text[:at] + text[at + 1 :], text[:at] + b" " + text[at:]):
            path.write_bytes(changed)
            assert store.read_sealed(path) is None, (at, changed[at - 5 : at + 5])
    path.write_bytes(text + b"\n")
    assert store.read_sealed(path) is None
