"""A foreign output folder names nothing that a job script, a path or a command would obey."""

import json
import os
import shlex

import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts.executor import Job
from bench.executors.slurm import JOB, Slurm, _last_job
from bench.runs import store
from tests.executors.common import specs

pytest.importorskip("submitit", reason="NO SUBMITIT: no job script was written")

EVIL = (
    "x\ntouch CANARY\n#",
    "x;touch CANARY",
    "$(touch CANARY)",
    "../x",
    "-rf",
    "x\x1b[2J",
    "",
    "a b",
)
SBATCH = """#!/bin/sh
cat "$1" >> {scripts}
echo "Submitted batch job 7"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Put programs of Slurm's names in the path; return where sbatch keeps what it was given."""
    tools, scripts, calls = tmp_path / "tools", tmp_path / "scripts", tmp_path / "calls"
    tools.mkdir()
    for name, text in (
        ("sbatch", SBATCH.format(scripts=scripts)),
        ("squeue", "#!/bin/sh\n"),
        ("scancel", f'#!/bin/sh\necho "$@" >> {calls}\n'),
        ("srun", "#!/bin/sh\n"),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return scripts, calls


def output(root, **changes):
    """Write an output folder with one run that never started, its specification forged."""
    (run,) = specs()
    folder = root / run.folder
    store.write_spec(folder, run)
    content = store.read_sealed(folder / store.SPEC)
    store.write_json(folder / store.SPEC, store.seal({**content, **changes}))
    manifest = {
        "name": changes.get("ablation", "x"),
        "question": "q",
        "profile": "smoke",
        "contrast": {"metric": "tau", "of": "darts", "against": "darts"},
        "runs": [run.folder],
        "arms": [{"label": "darts", "variants": [], "settings": content["settings"]}],
    }
    store.write_json(root / "ablation.json", manifest)
    return run, folder


@pytest.mark.parametrize("evil", EVIL)
def test_a_forged_name_reaches_no_job_script(cluster, tmp_path, evil):
    scripts, _ = cluster
    canary = tmp_path / "canary"
    output(tmp_path / "out", ablation=evil.replace("CANARY", str(canary)))
    done = CliRunner().invoke(
        application(), ["retry", str(tmp_path / "out"), "--executor", "slurm"]
    )
    assert isinstance(done.exception, ValueError), done.exception
    assert "\x1b" not in str(done.exception)
    assert not scripts.exists() and not canary.exists()


def test_a_job_script_says_what_it_should_and_nothing_else(cluster, tmp_path):
    scripts, _ = cluster
    run, folder = output(tmp_path / "out; touch canary")
    executor = Slurm(poll_seconds=0.01)
    executor.submit([Job(spec=run, folder=folder)])
    lines = scripts.read_text().splitlines()
    assert "#SBATCH --job-name=bench-skip_dropout" in lines
    own = [line for line in lines if line and not line.startswith("#")]
    for line in own:
        assert shlex.split(line)[0] in ("export", "srun"), line
        assert "canary" not in line.replace(f"'{tmp_path}/out; touch canary/slurm", "")


@pytest.mark.parametrize("name", ["a\nb", "50%_x", "a\x1b[2Jb"])
def test_a_folder_that_a_script_cannot_hold_is_refused(cluster, tmp_path, name):
    scripts, _ = cluster
    run, folder = output(tmp_path / name)
    with pytest.raises(ValueError, match="a job script cannot hold this path"):
        Slurm().submit([Job(spec=run, folder=folder)])
    assert not scripts.exists()


@pytest.mark.parametrize("task", ["--user=me", "-uroot", "1 2", "1;2", "all", "", "1_2_3", 7, None])
def test_a_forged_job_is_none_of_ours_to_cancel(tmp_path, task):
    (tmp_path / JOB).write_text(json.dumps({"job": task}))
    assert _last_job(tmp_path) is None
    (tmp_path / JOB).write_text(json.dumps({"job": "12_3"}))
    assert _last_job(tmp_path) == "12_3"
