"""`status`, `retry` and `gc`: what they say and do, read from folders alone."""

import json
import os
import signal
import time

import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.commands.gc import YOUNG, litter
from bench.commands.retry import planned
from bench.runs import lock as runlock
from bench.runs import store
from bench.runs.status import count, eta, runs
from tests.executors.common import FILE, bench, epoch, numbers, same_bits, specs, until

ONLY = ("--only", "darts", "--only", "skip_dropout_0.3")


def call(*words):
    return CliRunner().invoke(application(), [str(word) for word in words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return an output folder of four finished runs."""
    root = tmp_path_factory.mktemp("finished") / "out"
    done = call("run", FILE, "-p", "smoke", *ONLY, "--seeds", 2, "-o", root, "--executor", "inline")
    assert done.exit_code == 0, done.exception
    return root


@pytest.fixture
def root(finished, tmp_path):
    """Return a copy of it."""
    import shutil

    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def test_status_of_every_kind(root):
    assert call("status", root).exit_code == 0
    folders = [root / name for name in json.loads((root / "ablation.json").read_text())["runs"]]
    result = json.loads((folders[1] / store.RESULT).read_text())
    result |= {"status": "diverged", "error": "loss"}
    store.write_json(folders[1] / store.RESULT, store.seal(result))
    for folder in folders[2:]:
        (folder / store.RESULT).unlink()
        progress = {"status": "running", "epoch": 1, "epochs": 2, "elapsed": 3}
        store.write_json(folder / store.PROGRESS, progress)
    os.utime(folders[3] / ".lock", (time.time() - 100,) * 2)  # a holder that was killed
    with runlock.hold(folders[2]):
        states = runs(root)
        assert [state.kind for state in states] == ["done", "failed", "running", "stale"]
        expected = {"done": 1, "running": 1, "waiting": 0, "stopped": 0, "stale": 1, "failed": 1}
        assert count(states) == expected
        # Half an epoch's worth of the two: nine twentieths are done of each.
        whole = states[0].seconds
        assert eta(states) == pytest.approx(whole * 2 * (1 - 0.45))
        said = call("status", root)
        assert said.exit_code == 1 and "1 done, 1 running, 1 stale, 1 failed; about" in said.stdout
        assert "diverged, loss" in said.stdout and "silent for" in said.stdout
        machine = json.loads(call("status", root, "--json").stdout)[0]
        assert [run["kind"] for run in machine["runs"]] == [state.kind for state in states]
        assert machine["runs"][3]["quiet"] > 90 and machine["eta_seconds"] > 0
    assert [state.kind for state in runs(root)][2] == "stopped"  # let go in order
    (folders[2] / store.CHECKPOINT).unlink()
    assert [state.kind for state in runs(root)][2] == "waiting"
    assert json.loads(call("status", root.parent, "--json").stdout)[0]["counts"]["waiting"] == 1


@pytest.mark.parametrize("command", ["status", "retry", "gc"])
def test_what_is_no_output_folder_is_one_line(command, tmp_path):
    for place in (tmp_path / "nowhere", tmp_path):
        done = call(command, place)
        assert isinstance(done.exception, ValueError) and "\n" not in str(done.exception)


def test_a_live_run_is_seen_and_a_killed_one_becomes_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(runlock, "BEAT", 0.1)
    (run,) = specs("search.epochs=500")
    command = ("run", FILE, "-p", "smoke", "--only", "darts", "--seeds", 1, "-o", tmp_path)
    process = bench(*command, "--set", "search.epochs=500")
    until(lambda: epoch(tmp_path / run.folder) >= 2, process)
    (state,) = runs(tmp_path)
    assert state.kind == "running" and state.epochs == 500 and eta([state]) > 0
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: runs(tmp_path)[0].kind == "stale", seconds=30)


def test_retry_needs_the_folder_alone(root, finished):
    names = json.loads((root / "ablation.json").read_text())["runs"]
    result = json.loads((root / names[0] / store.RESULT).read_text())
    store.write_json(root / names[0] / store.RESULT, store.seal({**result, "status": "failed"}))
    (root / names[1] / store.SPEC).write_text("{")
    (root / names[1] / store.RESULT).unlink()
    for path in (root / names[2]).iterdir():
        path.unlink()
    (root / names[2]).rmdir()
    assert [spec.folder for spec in planned(root)] == names
    done = call("retry", root, "--executor", "inline")
    assert done.exit_code == 0 and "(1 kept from before, 3 run now)" in done.stdout, done.exception
    for name in names:
        same_bits(root / name, finished / name)
    refused = call("retry", root, "--set", "search.epochs=3")
    assert isinstance(refused.exception, ValueError) and "only the executor's" in str(
        refused.exception
    )


def test_retry_refuses_a_manifest_that_leads_to_other_runs(root):
    manifest = json.loads((root / "ablation.json").read_text())
    (root / manifest["runs"][0] / store.SPEC).unlink()
    manifest["arms"][0]["settings"]["search"]["epochs"] = 3
    store.write_json(root / "ablation.json", store.seal(manifest))
    done = call("retry", root)
    assert isinstance(done.exception, ValueError) and "its settings lead to" in str(done.exception)


def test_gc_is_dry_until_told_and_spares_what_is_needed(root, finished):
    names = json.loads((root / "ablation.json").read_text())["runs"]
    (root / names[1] / store.RESULT).unlink()  # its checkpoint is needed
    old, young = root / names[0] / ".result.json.abc", root / names[0] / ".spec.json.def"
    old.write_text("torn")
    young.write_text("being written")
    os.utime(old, (time.time() - 2 * YOUNG,) * 2)
    foreign = root / f"darts-seed0-{'f' * 16}"
    foreign.mkdir()
    (foreign / store.SPEC).write_text("{}")
    (root / "slurm").mkdir()
    call("status", root)  # has an index written, as gc would
    before = sorted(root.rglob("*"))
    listed = json.loads(call("gc", root, "--json").stdout)
    assert sorted(root.rglob("*")) == before and not listed["deleted"]
    assert [item["kind"] for item in listed["items"]].count("checkpoint") == 3
    assert {item["kind"] for item in listed["items"]} == {"checkpoint", "temporary"}
    with runlock.hold(root / names[0]):
        assert not [item for item in litter(root) if names[0] in str(item.path)]
    assert call("gc", root, "--delete").exit_code == 0
    assert young.exists() and foreign.exists() and (root / "slurm").exists() and not old.exists()
    assert (root / names[1] / store.CHECKPOINT).exists()
    assert not (root / names[0] / store.CHECKPOINT).exists()
    assert numbers(root / names[0]) == numbers(finished / names[0])
    assert call("gc", root, "--delete", "--foreign").exit_code == 0 and not foreign.exists()
    again = ("run", FILE, "-p", "smoke", *ONLY, "--seeds", 2, "-o", root, "--executor", "inline")
    assert call(*again).exit_code == 0
    assert {item.kind for item in litter(root)} == {"slurm logs", "checkpoint"}


def test_runs_of_the_same_identity_are_reused_under_another_name(finished, tmp_path):
    """Another file asks for the same runs under another label: none is run a second time."""
    text = (
        FILE.read_text()
        .replace("  darts: {}", "  plain: {}")
        .replace("against: darts", "against: plain")
    )
    (tmp_path / "other.yaml").write_text(text)
    words = (
        "run",
        tmp_path / "other.yaml",
        "-p",
        FILE.parent / "profiles" / "smoke.yaml",
        "--seeds",
        2,
    )
    words = (*words, "--only", "plain", "--executor", "inline", "-o", tmp_path / "out")
    done = call(*words, "--reuse", finished)
    assert done.exit_code == 0 and "2 runs reused" in done.stderr
    for seed in (0, 1):
        (here,) = tmp_path.glob(f"out/plain-seed{seed}-*")
        (there,) = finished.glob(f"darts-seed{seed}-*")
        assert store.read_spec(here).label == store.read_result(here)["label"] == "plain"
        assert store.read_result(here)["history"] == store.read_result(there)["history"]
        assert (here / store.CHECKPOINT).read_bytes() == (there / store.CHECKPOINT).read_bytes()
    assert "2 kept from before, 0 run now" in done.stdout


def test_a_damaged_run_is_not_reused(root, tmp_path):
    (victim,) = root.glob("darts-seed0-*")
    (victim / store.RESULT).write_text("{}")
    wanted = {tmp_path / "x" / s.folder: s for s in specs(only=["darts"])}
    assert store.reuse(root, wanted) == []
