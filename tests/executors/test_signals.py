"""Whatever asks a command to stop, and whenever: a checkpoint, exit 130, the line to go on with."""

import os
import signal
import subprocess
import time

import pytest

from bench.runs import checkpoint, store
from tests.executors.common import FILE, bench, epoch, specs, until

pytestmark = pytest.mark.slow

SETS = ("search.epochs=300", "ranking=null", "truth=null", "data.size=64")


def start(root):
    sets = [word for text in SETS for word in ("--set", text)]
    words = ("run", FILE, "-p", "smoke", "--only", "darts", "--seeds", 1, "-o", root, "--jobs", 1)
    (run,) = specs(*SETS)
    return bench(*words, *sets), root / run.folder


def server_of(process):
    """Say whether the fork server of a command is there."""
    found = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return "forkserver" in found.stdout


@pytest.mark.parametrize("after", [0.2, 1.0])
def test_ctrl_c_while_the_fork_server_loads_is_an_interruption(tmp_path, after):
    process, _ = start(tmp_path / "out")
    until(lambda: server_of(process), process)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in err, err
    assert "interrupted; resume with: python -m bench run" in err.splitlines()[-1]


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1"])
def test_every_other_end_leaves_a_checkpoint_of_the_epoch_under_way(tmp_path, name):
    process, folder = start(tmp_path / "out")
    until(lambda: epoch(folder) >= 2, process)
    os.killpg(process.pid, getattr(signal, name))  # as a terminal that is closed does
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in err, err
    assert store.read_result(folder) is None
    assert checkpoint.load(folder / store.CHECKPOINT)["step"] > 0
