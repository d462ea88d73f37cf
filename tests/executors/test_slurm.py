"""A real ablation through a real Slurm: arrays, failures, scancel, requeue, preemption, resume."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import warnings

import pytest

from bench.executors.inline import Inline
from bench.runs import checkpoint, store
from bench.runs.campaign import Campaign
from tests.executors.common import FILE, ROOT, bench, epoch, numbers, same_bits, specs, until

pytestmark = pytest.mark.slow  # some minutes: `pytest -m slow`, as .ci/run does

SCRIPT = ROOT / "tools" / "slurm_one_node.sh"
STEPS = 4
"""Steps of an epoch in the smoke profile."""
QUICK = ("--executor", "slurm", "--set", "slurm.poll_seconds=0.5", "--set", "slurm.time=30")


def works():
    try:
        return subprocess.run(["sinfo"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def free_port():
    """Return a port that is free together with the next one."""
    while True:
        with socket.socket() as one, socket.socket() as two, contextlib.suppress(OSError):
            one.bind(("", 0))
            two.bind(("", one.getsockname()[1] + 1))
            return one.getsockname()[1]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Use the Slurm that is there, or start one where its packages are installed."""
    if works():
        yield
        return
    reason = None
    if os.getuid() != 0:
        reason = "sinfo does not work and only root can start a Slurm"
    elif not all(shutil.which(name) for name in ("sinfo", "slurmctld", "slurmd", "munged")):
        reason = (
            "Slurm is not installed; `tools/slurm_one_node.sh start DIR` installs and starts it"
        )
    if reason is not None:
        warnings.warn(f"THE SLURM EXECUTOR IS NOT TESTED HERE: {reason}", stacklevel=1)
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("slurm")
    ports = {"SLURM_TEST_PORT": str(free_port())}  # several may be tested at once
    command = [SCRIPT, "start", place]
    started = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, timeout=300, env={**os.environ, **ports}
    )
    if started.returncode != 0:
        reason = f"Slurm does not start: {started.stderr[-2000:]}"
        warnings.warn(f"THE SLURM EXECUTOR IS NOT TESTED HERE: {reason}", stacklevel=1)
        pytest.skip(reason)
    os.environ["SLURM_CONF"] = str(place / "slurm.conf")
    yield
    subprocess.run([SCRIPT, "stop", place], check=True, timeout=200)
    del os.environ["SLURM_CONF"]


@pytest.fixture
def shared(tmp_path):
    """Return an output folder that a job can see; jobs that are left over are cancelled."""
    yield tmp_path / "out"
    subprocess.run(["scancel", f"--user={os.getuid()}"], check=False)


def job(folder):
    return json.loads((folder / "slurm.json").read_text())["job"]


def reference(root, runs):
    campaign = Campaign(root, runs)
    campaign.run(Inline(), interval=0.01)
    return campaign


FAILING = """\
question: Does one failure leave the rest alone?
contrast: {metric: skip_count, of: b, against: a}
variants:
  a: {}
  b:
    skip_dropout: {rate: 0.3}
  broken:
    search: {weights: {lr: 1.0e+30, clip: null}}
"""


def test_an_array_with_a_failing_run_gives_the_numbers_of_inline(slurm, shared, tmp_path):
    file = tmp_path / "failing.yaml"
    file.write_text(FAILING)
    command = bench(
        "run",
        file,
        "-p",
        ROOT / "ablations/profiles/smoke.yaml",
        "-o",
        shared,
        "--json",
        *QUICK,
        "--set",
        "slurm.pack=3",
        "--set",
        "slurm.partition=low",
    )
    out, err = command.communicate(timeout=400)
    assert command.returncode == 1, err
    runs = specs(file=file, only=(), seeds="2")
    assert len({job(shared / run.folder) for run in runs}) == 2  # six runs, three to a job
    expected = reference(tmp_path / "inline", runs)
    for run in runs:
        if run.label == "broken":
            assert numbers(shared / run.folder)["status"] == "diverged"
            assert numbers(shared / run.folder) == numbers(expected.folder(run))
        else:
            same_bits(shared / run.folder, expected.folder(run))
    table = {row["label"]: (row["ok"], row["planned"]) for row in json.loads(out)["variants"]}
    assert table == {"a": (2, 2), "b": (2, 2), "broken": (0, 2)}


def test_scancel_requeue_preemption_and_a_killed_controller(slurm, shared, tmp_path):
    sets = "search.epochs=150"
    runs = specs(sets, only=["darts", "skip_dropout_0.3"])
    warned, cancelled = (shared / run.folder for run in runs)
    words = (
        "run",
        FILE,
        "-p",
        "smoke",
        "--seeds",
        "1",
        "--only",
        "darts",
        "--only",
        "skip_dropout_0.3",
        "-o",
        shared,
        "--set",
        sets,
        *QUICK,
        "--set",
        "slurm.partition=low",
    )
    first = bench(*words)
    # Slurm's warning before the limit: the run keeps a checkpoint and the job queues itself again.
    until(lambda: epoch(warned) >= 2, first)
    subprocess.run(["scancel", "--signal=USR2", job(warned)], check=True)
    until(lambda: epoch(cancelled) >= 2, first)
    subprocess.run(["scancel", job(cancelled)], check=True)
    _, err = first.communicate(timeout=400)
    assert first.returncode == 1, err
    assert "cancelled" in err and store.read_result(cancelled) is None
    assert store.done(warned) and "Requeued job" in logs(shared, job(warned))
    kept = checkpoint.load(cancelled / store.CHECKPOINT)["step"]
    assert kept > 0

    # Again: only what was cancelled runs. Kill this command; its job goes on.
    second = bench(*words)
    until(lambda: epoch(cancelled) > kept // STEPS, second)
    mine = job(cancelled)
    assert state(mine) == "RUNNING"
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    # Preempted by a job of a higher tier, it goes on afterwards from its checkpoint.
    subprocess.run(["srun", "--partition=high", "--exclusive", "true"], check=True, timeout=300)
    # The same command finds the job instead of starting another.
    third = bench(*words)
    err = third.communicate(timeout=400)[1]
    assert third.returncode == 0, err
    assert job(cancelled) == mine and "Requeued job" in logs(shared, mine)
    expected = reference(tmp_path / "inline", runs)
    for run in runs:
        same_bits(shared / run.folder, expected.folder(run))


def state(task):
    command = ["squeue", "--noheader", "--format=%T", "--states=all", f"--jobs={task}"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def logs(root, task):
    return "".join(path.read_text() for path in (root / "slurm").glob(f"{task}_*_log.*"))


def test_ctrl_c_cancels_the_jobs_and_the_runs_keep_a_checkpoint(slurm, shared):
    (run,) = specs("search.epochs=500")
    folder = shared / run.folder
    command = bench(
        "run",
        FILE,
        "-p",
        "smoke",
        "--seeds",
        "1",
        "--only",
        "darts",
        "-o",
        shared,
        "--set",
        "search.epochs=500",
        *QUICK,
    )
    until(lambda: epoch(folder) >= 2, command)
    command.send_signal(signal.SIGINT)
    err = command.communicate(timeout=200)[1]
    assert command.returncode == 130 and "resume with: python -m bench run" in err
    assert state(job(folder)) == "CANCELLED"
    assert store.read_result(folder) is None
    assert checkpoint.load(folder / store.CHECKPOINT, run.digest)["step"] > 0


def test_what_slurm_refuses_is_one_line(slurm, shared):
    command = bench(
        "run",
        FILE,
        "-p",
        "smoke",
        "--seeds",
        "1",
        "--only",
        "darts",
        "-o",
        shared,
        *QUICK,
        "--set",
        "slurm.partition=nowhere",
    )
    err = command.communicate(timeout=200)[1]
    last = err.strip().splitlines()[-1]  # before it, what sbatch itself says
    assert command.returncode == 2 and "Traceback" not in err, err
    assert last.startswith("error: slurm: sbatch refused the jobs") and "partition" in last


@pytest.mark.stress
def test_forty_runs_through_slurm_give_the_table_of_inline(slurm, shared, tmp_path):
    words = ("run", FILE, "-p", "smoke", "--seeds", "10", "--json")
    command = bench(*words, "-o", shared, *QUICK, "--set", "slurm.pack=10")
    table = json.loads(command.communicate(timeout=600)[0])
    other = bench(*words, "-o", tmp_path / "inline", "--executor", "inline")
    expected = json.loads(other.communicate(timeout=600)[0])
    assert command.returncode == other.returncode == 0
    clocks = {"cost_seconds", "seconds", "search_seconds", "ranking_seconds"}
    for found in (table, expected):
        for row in (*found["variants"], *found["runs"]):
            for name in [n for n in row if n.removesuffix("_low").removesuffix("_high") in clocks]:
                del row[name]
        del found["command"], found["name"]
        for row in found["runs"]:
            row.pop("checksum")
    assert len(table["runs"]) == 40 and table == expected
