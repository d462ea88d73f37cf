"""A metric that nobody measures is refused when the file is read, not when all runs are over."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import metrics
from bench.ablation.file import read_ablation
from bench.ablation.yamlfile import ConfigError
from bench.contracts import registry

ROOT = Path(__file__).parents[2]
SMOKE = str(ROOT / "ablations/profiles/smoke.yaml")
FILE = """\
question: Does it help?
contrast: {{metric: {metric}, of: b, against: a}}
{explanation}space: nb201
variants:
  a: {{instruments: [cell, loss_crossing]}}
  b: {{instruments: [cell]}}
"""
EXPLANATION = """\
explanation:
  claim: It is so.
  failure: {{metric: {failure}, of: a}}
  criteria:
    - {{role: primary, says: it is, metric: {metric}, of: a, expect: lower, smallest: 1}}
"""


def read(tmp_path: Path, metric: str = "skip_count", explanation: str = "") -> object:
    path = tmp_path / "it.yaml"
    path.write_text(FILE.format(metric=metric, explanation=explanation))
    return read_ablation(path, SMOKE)


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("skip_cuont", "unknown metric 'skip_cuont'; did you mean 'skip_count'?"),
        ("banana", "unknown metric 'banana'; `bench list metrics` names them"),
        (
            "crossing_epochs",
            "crossing_epochs is read by the instrument loss_crossing, which b does not",
        ),
        ("hessian_trace", "is read by the instrument alpha_hessian, which b does not have"),
    ],
)
def test_a_contrast_that_could_never_be_answered(tmp_path: Path, metric: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, metric)
    assert says in str(caught.value) and ":2: contrast.metric: " in str(caught.value)


@pytest.mark.parametrize(
    "metric", ["p_skip_connect", "collapsed", "loss_tau_top10pct", "train_loss"]
)
def test_what_is_measured_may_be_asked(tmp_path: Path, metric: str) -> None:
    assert read(tmp_path, metric).contrast.metric == metric  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("heading", "name"), [("skips", "skip_count"), ("true acc.", "true_accuracy")]
)
def test_the_headings_of_tables_are_names(tmp_path: Path, heading: str, name: str) -> None:
    assert read(tmp_path, f"'{heading}'").contrast.metric == name  # type: ignore[attr-defined]


def test_criteria_and_the_failure_are_checked_alike(tmp_path: Path) -> None:
    sound = EXPLANATION.format(metric="crossing_epochs", failure="collapsed")
    assert read(tmp_path, explanation=sound)
    for wrong, place in (
        (EXPLANATION.format(metric="banana", failure="collapsed"), "explanation.criteria.0.metric"),
        (EXPLANATION.format(metric="skip_count", failure="bananas"), "explanation.failure.metric"),
    ):
        with pytest.raises(ConfigError, match=place):
            read(tmp_path, explanation=wrong)


def test_every_instrument_declares_what_it_measures() -> None:
    """That readings are declared is tested on real ones, with the instruments."""
    for name in registry.names("instruments"):
        for entry in registry.load("instruments", name).measures:
            assert entry.meaning and metrics.find(entry.name.replace("*", "x")), entry.name
    assert len(metrics.known()) > len(metrics.METRICS)
