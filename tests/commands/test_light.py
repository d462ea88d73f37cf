"""What looks at thousands of runs loads nothing that takes seconds, and reads the index once."""

import subprocess
import sys

import pytest

from bench.runs import index
from tests.executors.common import ROOT
from tests.report.builders import folder, ok

CODE = """
import sys
from typer.testing import CliRunner
from bench.cli import application
done = CliRunner().invoke(application(), {words!r})
assert done.exit_code == 0, done.output
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return an output folder of finished runs."""
    arms = {"old": [ok(5)] * 2, "new": [ok(1)] * 2}
    return folder(tmp_path_factory.mktemp("r") / "x", arms, epochs=0, rankings=False)


def loaded(heavy, *words):
    """Return what of some modules a command loads, in a process of its own."""
    code = CODE.format(words=list(words), heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("command", ["status", "gc"])
def test_looking_at_a_folder_loads_no_arithmetic(root, command):
    assert loaded(["torch", "scipy", "pandas", "numpy"], command, str(root)) == "[]"


def test_a_plan_loads_torch_alone(tmp_path):
    words = ("plan", "ablations/skip_dropout.yaml", "-p", "smoke", "-o", str(tmp_path))
    heavy = ["scipy", "pandas", "sklearn", "matplotlib", "pyarrow"]
    assert loaded(heavy, *words) == "[]"


def test_status_reads_the_index_once(root, monkeypatch, capsys):
    import typer

    from bench.commands.status import status

    calls, real = [], index.rows
    monkeypatch.setattr(
        index, "rows", lambda *words, **named: (calls.append(1), real(*words, **named))[1]
    )
    with pytest.raises(typer.Exit):
        status(root)
    assert len(calls) == 1 and "4 done" in capsys.readouterr().out
