"""The page of the bias instrument: its first sentence answers, with the interval it claims."""

from __future__ import annotations

import math

import pytest
from scipy import stats
from typer.testing import CliRunner

from bench.cli import application
from bench.instruments import _bias as bias
from bench.report.bias import Readings, answer, write
from bench.runs import store

ESTIMATORS = {
    "first_order": {"name": "first_order"},
    "reverse_1": {"name": "reverse", "T": 1, "K": None, "segment": 1},
    "reverse_1_cut": {"name": "reverse", "T": 9, "K": 1, "segment": 1},
}
REFERENCE = {"name": "reverse", "T": 100, "K": None, "segment": 1}


def folder(root, shifts, instruments=True):
    """Write an output folder: per seed the shift of first-order at two epochs."""
    instrument = {
        "name": "hypergradient_bias",
        "sequences": 16,
        "estimators": ESTIMATORS,
        "reference": REFERENCE,
    }
    runs = []
    for seed, shift in enumerate(shifts):
        history = []
        for epoch in (1, 2):
            entry = {"epoch": epoch, "alpha": [[0.0]], "p_skip_connect": 0.2}
            numbers = dict.fromkeys(bias.quantities(ESTIMATORS), 0.5)
            numbers |= {f"{label}_skip_share": 0.1 for label in (*ESTIMATORS, "reference")}
            numbers["first_order_skip_share"] = 0.1 + shift
            numbers["first_order_skip_shift"] = shift + (0.01 if epoch == 1 else -0.01)
            numbers["reverse_1_cut_cosine"] = 0.25
            numbers["first_order_implicit_cosine"] = math.nan
            history.append(entry | {f"bias_{k}": v for k, v in numbers.items()})
        digest = f"{seed:016x}"
        runs.append(f"darts-seed{seed}-{digest}")
        result = {
            "label": "darts",
            "seed": seed,
            "digest": digest,
            "status": "ok",
            "history": history,
        }
        store.write_json(root / runs[-1] / store.RESULT, store.seal(result))
    arms = [{"label": "darts", "settings": {"instruments": [instrument] if instruments else []}}]
    contrast = {"metric": "p_skip_connect", "of": "darts", "against": "darts"}
    store.write_json(
        root / "ablation.json",
        {"name": "x", "question": "q", "contrast": contrast, "arms": arms, "runs": runs},
    )
    return root


@pytest.mark.parametrize(
    ("shifts", "headline"),
    [
        ([0.2, 0.25, 0.3], "Yes"),
        ([-0.2, -0.25, -0.3], "No, it raises it"),
        ([0.2, -0.3, 0.1], "Not shown"),
    ],
)
def test_the_first_sentence_answers(shifts, headline, tmp_path):
    said = answer(Readings.read(folder(tmp_path, shifts)))
    assert said.startswith(f"Does a longer horizon lower the pull toward skip? {headline}:")
    assert "3 searches, 6 states, 16 batch sequences" in said and "100 steps ahead" in said


def test_the_interval_is_students_over_seeds(tmp_path):
    found = Readings.read(folder(tmp_path, [0.2, 0.25, 0.3])).mean("first_order", "skip_shift")
    half = stats.t.ppf(0.975, 2) * 0.05 / math.sqrt(3)
    assert list(found) == pytest.approx([0.25, 0.25 - half, 0.25 + half])
    alone = Readings.read(folder(tmp_path / "one", [0.2])).mean("first_order", "skip_shift")
    assert alone.estimate == pytest.approx(0.2) and math.isnan(alone.low)


def test_names_horizons_and_missing_numbers(tmp_path):
    readings = Readings.read(folder(tmp_path, [0.2, 0.25]))
    # What is truncated is not exact at its horizon, and its label holds another's.
    assert readings.horizons == {"first_order": 0, "reverse_1": 1, "reference": 100}
    assert readings.mean("reverse_1_cut", "cosine").estimate == 0.25
    assert readings.mean("reverse_1", "cosine").estimate == 0.5
    assert math.isnan(readings.mean("first_order", "implicit_cosine").estimate)


def test_the_command_writes_all_of_it(tmp_path):
    root, to = folder(tmp_path / "runs", [0.2, 0.25, 0.3]), tmp_path / "kept"
    done = CliRunner().invoke(application(), ["bias", str(root), "--to", str(to)])
    assert done.exit_code == 0, done.output
    text = (to / "summary.md").read_text()
    assert text.startswith("Does a longer horizon lower the pull toward skip? Yes:")
    assert "too few seeds to conclude" in text and "| reverse_1_cut (T=9, K=1) |" in text
    assert (to / "bias.svg").read_text().startswith("<svg")
    assert (to / "bias.csv").read_text().count("first_order,skip_shift,") == 6
    assert write(root, to) in text  # and again, over what is there


def test_what_it_refuses(tmp_path):
    with pytest.raises(ValueError, match="no variant has the instrument"):
        Readings.read(folder(tmp_path, [0.2], instruments=False))
    with pytest.raises(ValueError, match="no output folder"):
        Readings.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no finished run"):
        Readings.read(folder(tmp_path / "none", []))
