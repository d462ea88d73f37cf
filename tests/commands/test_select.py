"""`bench select` on a stored run, and what it says where there is none."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.ablation.file import read_ablation
from bench.cli import application
from bench.runs.run import execute
from bench.runs.spec import plan
from bench.runs.store import read_result

ABLATIONS = Path(__file__).parents[2] / "ablations"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    ablation = read_ablation(
        ABLATIONS / "skip_dropout.yaml",
        "smoke",
        ["data.size=64", "search.batch=16", "ranking=null"],
    )
    (spec,) = plan(ablation, ["darts"])[:1]
    folder = tmp_path_factory.mktemp("runs") / spec.folder
    assert execute(spec, folder) == "ok"
    return folder


def call(*arguments):
    return CliRunner().invoke(application(), list(map(str, arguments)))


def test_the_runs_own_rule_gives_the_runs_own_cell_and_nothing_changes(run):
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    found = json.loads(call("select", run, "--rule", "argmax", "--json").stdout)
    stored = read_result(run)
    for key in ("cell", "skip_count", "weight_free_share", "true_accuracy", "regret"):
        assert found[key] == stored[key]
    assert before == {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_another_rule_with_parameters_as_text(run):
    done = call("select", run, "-r", "perturbation", "--set", "epochs=0", "--set", "images=16")
    assert done.exit_code == 0
    for word in ("cell", "|", "skips", "weight-free share", "true accuracy", "regret"):
        assert word in done.stdout
    preset = call("select", run, "-r", "argmax", "--set", "preset=darts", "--json")
    assert "none" not in json.loads(preset.stdout)["cell"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rule", "argmx"], "did you mean 'argmax'"),
        (["--rule", "argmax", "--set", "a.b=1"], "unknown field"),
        (["--rule", "argmax", "--set", "exclude"], "key=value"),
        (["--rule", "best_sampled", "--set", "k=0"], "greater than or equal to 1"),
    ],
)
def test_bad_rules_are_refused(run, arguments, says):
    done = call("select", run, *arguments)
    assert done.exit_code != 0 and says in str(done.exception)


def test_a_folder_without_a_run_is_refused(tmp_path, run):
    assert "no run's folder" in str(call("select", tmp_path).exception)
    (tmp_path / "spec.json").write_bytes((run / "spec.json").read_bytes())
    assert "checkpoint" in str(call("select", tmp_path).exception)
