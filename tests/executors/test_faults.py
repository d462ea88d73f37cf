"""What goes wrong while runs run: nothing that was finished is lost, the rest goes on.

The figures of each test are printed (``pytest -s``); the long forms are marked ``stress``.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
import warnings
from multiprocessing import get_context

import pandas as pd
import pytest

from bench.executors.inline import Inline
from bench.executors.processes import Processes
from bench.runs import checkpoint, store
from bench.runs.campaign import Campaign
from bench.runs.run import execute
from tests.executors.common import (
    FILE,
    ROOT,
    bench,
    epoch,
    listing,
    numbers,
    same_bits,
    specs,
    until,
)

pytestmark = pytest.mark.slow  # some minutes: `pytest -m slow`, as .ci/run does

BOTH = ("darts", "skip_dropout_0.3")


def reference(root, runs):
    campaign = Campaign(root, runs)
    campaign.run(Inline(), interval=0.01)
    assert set(campaign.ended.values()) == {"ok"}
    return campaign


@pytest.mark.parametrize(
    ("kills", "seeds"), [(5, 2), pytest.param(100, 12, marks=pytest.mark.stress)]
)
def test_kill_9_of_everything_at_random_moments(tmp_path, kills, seeds):
    sets = ["search.epochs=20"]
    runs = specs(*sets, only=BOTH, seeds=str(seeds))
    expected = reference(tmp_path / "expected", runs)
    draw, killed, lost, repeated, again, rounds = random.Random(8), 0, 0, [], 0, 0
    while killed < kills:
        rounds += 1
        finished: dict = {}
        root = tmp_path / f"round{rounds}"
        over = False
        while not over:
            known = {p: p.stat().st_mtime_ns for p in root.glob("*/result.json")}
            lost += len(finished.keys() - known.keys())
            again += sum(known[p] != finished[p] for p in finished if p in known)
            finished = known
            words = ("run", FILE, "-p", "smoke", "--seeds", seeds, "-o", root, "--jobs", 2)
            only = [word for label in BOTH for word in ("--only", label)]
            process = bench(*words, *only, "--set", sets[0])
            over = not (killed < kills and kill_at_random(process, root, draw))
            err = process.communicate(timeout=900)[1]
            if over:
                assert process.returncode == 0, err
            else:
                killed += 1
                repeated += [behind(root / run.folder) for run in runs]
        for run in runs:
            same_bits(root / run.folder, expected.folder(run))
        assert len(list(root.glob("*/result.json"))) == len(runs) == len(listing(root))
    print(
        f"\nkill -9: {killed} kills, {rounds} ablations of {len(runs)} runs: {lost} finished runs "
        f"lost, {again} run twice, {max(repeated)} finished epochs to repeat; bits as undisturbed"
    )
    assert lost == again == 0 and max(repeated) == 0


def kill_at_random(process, root, draw):
    """Kill a command and all its processes at a random moment; False where it ended before."""
    began, moment = time.time(), draw.uniform(0, 3)
    if draw.random() < 0.8:  # mostly while runs are at work: the first seconds are imports
        until(lambda: fresh(root, began) or process.poll() is not None, seconds=300)
    deadline = time.time() + moment
    until(lambda: time.time() > deadline or process.poll() is not None)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    return True


def fresh(root, since):
    """Say whether a run has reported progress since a moment."""
    return any(p.stat().st_mtime > since for p in root.glob("*/progress.json"))


def behind(folder):
    """Return how many epochs a killed run had reported that its checkpoint does not have."""
    if store.read_result(folder) is not None or epoch(folder) == 0:
        return 0
    return epoch(folder) - checkpoint.load(folder / store.CHECKPOINT)["epoch"]


def test_resume_from_20_random_steps_is_bit_identical(tmp_path):
    (run,) = specs(
        "search.epochs=6", "ranking=null", "instruments=[cell]", only=["skip_dropout_0.3"]
    )
    whole = tmp_path / "whole"
    assert execute(run, whole) == "ok"
    steps = checkpoint.load(whole / store.CHECKPOINT)["step"]
    for stop in random.Random(1).sample(range(1, steps), 20):
        folder, polls = tmp_path / f"stopped{stop}", iter(range(steps + 1))
        # The lock is polled too, once, before the first step.
        assert (
            execute(run, folder, lambda polls=polls, stop=stop: next(polls) >= stop)
            == "interrupted"
        )
        assert checkpoint.load(folder / store.CHECKPOINT)["step"] == stop
        assert store.read_result(folder) is None
        assert execute(run, folder) == "ok"
        same_bits(folder, whole)
    print(f"\nresume: from 20 of {steps} steps, weights, alpha and history bit-identical")


def write_runs(root, writer, count):
    for number in range(count):
        folder = root / f"v{writer}-seed{number}-{writer:08x}{number:08x}"
        result = {
            "label": f"v{writer}",
            "seed": number,
            "digest": f"{writer:08x}{number:08x}",
            "status": "ok" if number % 7 else "diverged",
            "tau": 1 / (1 + writer + number),
            "error": None,
            "history": [{"epoch": 1, "alpha": [[0.1] * 5] * 6}],
        }
        store.write_json(folder / store.RESULT, store.seal(result))
        if number % 10 == writer % 10:
            listing(root)  # readers rebuild the index while others write


def test_eight_writers_into_one_folder(tmp_path):
    context = get_context("fork")
    writers = [context.Process(target=write_runs, args=(tmp_path, n, 50)) for n in range(8)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
        assert process.exitcode == 0
    index = listing(tmp_path)
    assert len(index) == 400 and (index["status"] == "ok").sum() == 8 * 42
    assert all(store.read_result(tmp_path / folder) is not None for folder in index["folder"])
    pd.testing.assert_frame_equal(index, listing(tmp_path, rebuild=True))
    (tmp_path / ".index.json").unlink()
    pd.testing.assert_frame_equal(index, listing(tmp_path))
    assert not list(tmp_path.glob("**/.result.json.*"))
    print("\nwriters: 8 with 50 runs each: 400 valid records, index identical after a rebuild")


@pytest.mark.stress
def test_kill_10_of_40_workers(tmp_path):
    runs = specs("search.epochs=20", only=(), seeds="10")
    root, victims = tmp_path / "killed", set()

    def kill():
        for _ in range(10):
            until(lambda: strike(root, victims), seconds=300)

    murderer = threading.Thread(target=kill)
    murderer.start()
    campaign = Campaign(root, runs)
    campaign.run(Processes(jobs=2), interval=0.05)
    murderer.join(10)
    assert len(victims) == 10 and len(runs) == 40
    assert list(campaign.ended.values()) == ["ok"] * 40
    expected = reference(tmp_path / "expected", runs)
    for run in runs:
        assert numbers(campaign.folder(run)) == numbers(expected.folder(run))
    print("\nworkers: 10 of 40 killed, 40 of 40 runs finished, all numbers as undisturbed")


def strike(root, victims):
    """Kill a worker that was not yet killed, if one is in its search."""
    for path in root.glob("*/progress.json"):
        progress = store.read_progress(path.parent)
        busy = progress.get("status") == "running" and (progress.get("epoch") or 0) >= 1
        if path.parent not in victims and busy and store.read_result(path.parent) is None:
            try:
                os.kill(progress["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue
            victims.add(path.parent)
            return True
    return False


@pytest.fixture
def small_disk(tmp_path):
    """Return a mounted file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True) if os.getuid() == 0 else None
    if done is None or done.returncode != 0:
        reason = "only root can mount a small disk" if done is None else done.stderr.strip()
        warnings.warn(f"A FULL DISK IS NOT TESTED HERE: {reason}", stacklevel=1)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_a_clean_stop_and_can_go_on(small_disk, tmp_path):
    runs = specs("search.epochs=3", only=BOTH, seeds="3")
    words = ("run", FILE, "-p", "smoke", "--seeds", 3, "--only", BOTH[0], "--only", BOTH[1])
    words = (*words, "--set", "search.epochs=3", "-o", small_disk / "out", "--jobs", 2)
    process = bench(*words)
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 1 and "Traceback" not in err, err
    assert "no space left" in err.splitlines()[-1] and "resume with: python -m bench run" in err
    kept = [run for run in runs if store.done(small_disk / "out" / run.folder)]
    assert len(kept) < len(runs)
    torn = [p for p in small_disk.glob("out/*/result.json") if store.read_result(p.parent) is None]
    assert not torn and not list(small_disk.glob("out/*/.*.*.*"))
    for path in small_disk.glob("out/*/checkpoint.pt"):
        checkpoint.load(path)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    process = bench(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and f"({len(kept)} kept from before" in out, err
    expected = reference(tmp_path / "expected", runs)
    for run in runs:
        same_bits(small_disk / "out" / run.folder, expected.folder(run))
    print(f"\nfull disk: stopped with {len(kept)} of {len(runs)} done, none torn; resumed to all")


BROKEN = """\
question: Are failures recorded, and the rest left alone?
contrast: {metric: skip_count, of: b, against: a}
variants:
  a: {}
  b:
    skip_dropout: {rate: 0.3}
  nan:
    search: {weights: {lr: 1.0e+30, clip: null}}
  too_large:
    space: {channels: 3000000}
"""


def test_nan_and_out_of_memory_are_recorded_and_counted(tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    out = tmp_path / "out"
    profile = ROOT / "ablations/profiles/smoke.yaml"
    process = bench("run", file, "-p", profile, "--seeds", 2, "-o", out, "--jobs", 2, "--json")
    text, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    runs = specs(file=file, only=(), seeds="2")
    expected = {"a": "ok", "b": "ok", "nan": "diverged", "too_large": "out_of_memory"}
    for run in runs:
        assert numbers(out / run.folder)["status"] == expected[run.label]
    assert "not finite" in numbers(out / runs[2].folder)["error"]
    alone = reference(tmp_path / "alone", [run for run in runs if run.label in "ab"])
    for run in alone.specs:
        same_bits(out / run.folder, alone.folder(run))
    table = json.loads(text)
    rows = {row["label"]: row for row in table["variants"]}
    assert [(rows[label]["planned"], rows[label]["ok"]) for label in expected] == [
        (2, 2),
        (2, 2),
        (2, 0),
        (2, 0),
    ]
    assert "2 diverged" in rows["nan"]["statuses"]
    assert rows["too_large"]["statuses"].replace(" ", "_") == "2_out_of_memory"
    assert sorted(run["status"] for run in table["runs"]) == sorted(2 * list(expected.values()))
    for form, file_name in (("--md", "report.md"), ("--tex", "report.tex"), ("--csv", "runs.csv")):
        done = bench("report", out, form)
        assert done.communicate(timeout=200) and done.returncode == 0
        assert "too_large" in (out / file_name).read_text().replace("\\_", "_")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_once_stops_after_the_step_and_the_command_resumes(tmp_path):
    runs = specs("search.epochs=60", only=BOTH)
    words = ("run", FILE, "-p", "smoke", "--seeds", 1, "--only", BOTH[0], "--only", BOTH[1])
    words = (*words, "--set", "search.epochs=60", "-o", tmp_path / "out", "--jobs", 2)
    process = bench(*words)
    until(lambda: all(epoch(tmp_path / "out" / run.folder) >= 1 for run in runs), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    err = process.communicate(timeout=200)[1]
    assert process.returncode == 130 and "Traceback" not in err, err
    assert err.splitlines()[-1].startswith("interrupted; resume with: python -m bench run")
    for run in runs:
        folder = tmp_path / "out" / run.folder
        assert not alive(store.read_progress(folder)["pid"])
        saved = checkpoint.load(folder / store.CHECKPOINT, run.digest)
        assert saved["step"] > 0 and store.read_result(folder) is None
    process = bench(*words)
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 0, err
    expected = reference(tmp_path / "expected", runs)
    for run in runs:
        same_bits(tmp_path / "out" / run.folder, expected.folder(run))


@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_ctrl_c_twice_ends_at_once(tmp_path, executor):
    (run,) = specs("ranking.population.size=6000", "ranking.images=128")
    folder = tmp_path / run.folder
    process = bench(
        "run",
        FILE,
        "-p",
        "smoke",
        "--seeds",
        1,
        "--only",
        "darts",
        "-o",
        tmp_path,
        "--set",
        "ranking.population.size=6000",
        "--set",
        "ranking.images=128",
        "--executor",
        executor,
    )
    until(lambda: store.read_progress(folder).get("status") == "ranking", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None  # what is being ranked is ranked to its end, but
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=10)[1]
    assert process.returncode == 130 and "Traceback" not in err, err
    assert "resume with" in err
    until(lambda: not alive(store.read_progress(folder)["pid"]), seconds=10)
    assert store.read_result(folder) is None and (folder / store.CHECKPOINT).exists()


def test_runs_stop_when_only_the_command_is_killed(tmp_path):
    """They are the server's children, and it outlives the command."""
    command = bench(
        "run",
        FILE,
        "-p",
        "smoke",
        "--seeds",
        1,
        "--only",
        "darts",
        "-o",
        tmp_path,
        "--jobs",
        1,
        "--set",
        "search.epochs=100000",
    )
    (folder,) = (tmp_path / run.folder for run in specs("search.epochs=100000"))
    until(lambda: epoch(folder) > 0, seconds=120)
    worker = json.loads((folder / store.PROGRESS).read_text())["pid"]
    command.kill()
    command.wait()
    until(lambda: not os.path.exists(f"/proc/{worker}"), seconds=60)
    assert store.read_result(folder) is None
    assert checkpoint.load(folder / store.CHECKPOINT)["epoch"] > 0
