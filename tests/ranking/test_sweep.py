"""Protocol files and grids, and ranking a stored run again."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.commands.rank import sensitivity
from bench.ranking.protocol import Protocol
from bench.ranking.sweep import read_protocols, sweep
from bench.runs import store
from bench.runs.run import execute
from bench.runs.spec import plan

ROOT = Path(__file__).parents[2]
SENSITIVITY = ROOT / "ablations" / "protocols" / "sensitivity.yaml"


def write(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return path


def test_a_grid_is_every_combination_on_top_of_the_runs_own_protocol(tmp_path):
    path = write(
        tmp_path,
        "images: 64\ngrid:\n  batch_norm: [batch, recalibrated]\n  population.seed: [0, 1, 2]\n",
    )
    found = read_protocols(path, Protocol(batch=77))
    assert len(found) == 6
    assert found[3][0] == {"batch_norm": "recalibrated", "population.seed": 0}
    assert {p.batch for _, p in found} == {77} and {p.images for _, p in found} == {64}
    assert len({p.digest() for _, p in found}) == 6
    ((varied, alone),) = read_protocols(write(tmp_path, "score: loss\n"), Protocol())
    assert varied == {} and alone.score == "loss"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("- a", 1, "a mapping"),
        ("images: 0", 1, "images"),
        ("batch: 10\nbatch_nrom: batch", 2, "batch_nrom: unknown field"),
        ("batch: 10\ngrid: {batch_norm: [batch, recal]}", 2, "batch_norm"),
        ("batch: 10\ngrid: {batch_norm: batch}", 2, "a list of values"),
        ("grid: {images: []}", 1, "a list of values"),
        ("grid: 3", 1, "a list of values"),
        ("population: {kind: list}", 1, "belong together"),
    ],
)
def test_malformed_protocols_are_one_line(tmp_path, text, line, says):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_protocols(path, Protocol())
    assert str(caught.value).startswith(f"{path}:{line}: ") and says in str(caught.value)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    ablation = read_ablation(ROOT / "ablations" / "skip_dropout.yaml", "smoke", None, "1")
    (spec,) = plan(ablation, ["darts"])
    folder = tmp_path_factory.mktemp("runs") / spec.folder
    assert execute(spec, folder) == "ok"
    return folder


def test_ranking_a_stored_run_again_gives_its_own_numbers(finished):
    table = sweep([finished], lambda own: [({}, own)])
    result = store.read_result(finished)
    for name in ("tau", "tau_loss", "tau_parameters", "tau_low", "protocol", "ranked"):
        assert table[name][0] == result[name]


def test_the_command_shows_the_panel_and_names_another_protocol(finished):
    def call(*options):
        return subprocess.run(
            [sys.executable, "-m", "bench", "rank", str(finished), *options],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )

    plain = call()
    digest = store.read_result(finished)["protocol"]
    assert plain.returncode == 0 and digest in plain.stdout and "spearman" in plain.stdout
    assert "must not be compared" not in plain.stdout
    other = call("--set", "batch_norm=recalibrated", "--json")
    numbers = json.loads(other.stdout)
    assert not numbers["same_protocol_as_run"] and numbers["protocol"] != digest
    wrong = call("--set", "batch_norm=recal")
    assert wrong.returncode == 2 and len(wrong.stderr.strip().splitlines()) == 1


def test_a_sweep_shows_one_seed_s_interval_and_several_seeds_range():
    one = {
        "label": "darts",
        "seed": 0,
        "tau": 0.2,
        "tau_low": 0.1,
        "tau_high": 0.3,
        "tau_loss": 0.4,
        "tau_loss_low": 0.35,
        "tau_loss_high": 0.45,
        "tau_parameters": 0.6,
    }
    one |= read_protocols(SENSITIVITY, Protocol())[0][0]
    text = sensitivity(pd.DataFrame([one]), SENSITIVITY)
    assert "0.200 [0.100, 0.300]" in text and "0.400 [0.350, 0.450]" in text
    two = sensitivity(pd.DataFrame([one, one | {"seed": 1, "tau": 0.4}]), SENSITIVITY)
    assert "0.300 (0.200 to 0.400)" in two and "[0.1" not in two
