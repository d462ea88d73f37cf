"""A baseline and a history that were forged, their checksums right: one line, never a traceback."""

import json
import random

import numpy as np
import pytest

from bench.gate import baseline, traces
from bench.gate.seedbank import FRESH, judge
from bench.gate.trend import write_trend
from tests.gate.builders import stand_in
from tests.runs import forged

pytestmark = pytest.mark.filterwarnings("ignore")
TRACES = {"first_order": {"alpha": np.zeros((2, 2, 3)), "loss_train": np.ones(2)}}


@pytest.fixture
def made(tmp_path):
    """Return a folder with a baseline, and what it holds."""
    stand_in(tmp_path, traces=TRACES, truth={"dataset": "cifar10", "budget": 200})
    content = json.loads((tmp_path / baseline.FILE).read_text())
    del content["checksum"]
    return tmp_path, content


def used(folder):
    """Do with a baseline what a check does."""
    base = baseline.read(folder)
    traces.compare(base.traces, TRACES)
    for name, bank in base.bank.items():
        judge(name, bank, [0.0] * FRESH, [], base.k, base.margins[name])
        assert base.detectable[name] is not None
    assert base.matrix.ndim == 2


def test_every_field_of_a_forged_baseline_is_refused_or_works(made):
    folder, content = made
    path = folder / baseline.FILE
    put = lambda value: path.write_text(forged.text_of(forged.sealed(value)))  # noqa: E731
    put(content)
    used(folder)
    refused, wrong = forged.refusals(
        content, put, lambda: used(folder), str(path), random.Random(0)
    )
    assert not wrong, "\n".join(wrong[:20])
    assert refused > 300


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (("rule",), forged.GONE, "rule: missing"),
        (("traces",), forged.GONE, "traces: missing"),
        (("rule", "k"), 0, "rule.k"),
        (("rule", "k"), 21, "rule.k"),
        (("rule", "margins", "tau"), forged.GONE, "rule.margins: not of the metrics"),
        (("bank", "tau"), [], "bank.tau"),
        (("bank", "tau", 3), "high", "bank.tau[3]"),
        (("bank", "tau", 3), float("nan"), "bank.tau[3]"),
        (("bank", "tau"), [0.1], "bank: not one length"),
        (("traces", "first_order", "alpha"), [[1.0], [1.0, 2.0]], "traces.first_order.alpha"),
        (("traces", "first_order"), {"heat": [1.0]}, "no tolerance is known for 'heat'"),
        (("reason",), 3, "reason"),
        (("provenance", "torch"), [2], "provenance.torch"),
    ],
)
def test_a_forged_baseline_says_file_and_field(made, at, value, says):
    folder, content = made
    content = forged.changed(content, at, value)
    path = folder / baseline.FILE
    path.write_text(forged.text_of(forged.sealed(content)))
    with pytest.raises(baseline.BaselineError) as caught:
        baseline.read(folder)
    assert str(caught.value).startswith(f"{path}: ") and says in str(caught.value)
    assert "bench baseline --reason" in str(caught.value)


def test_a_baseline_that_cannot_be_read_is_not_called_damaged(made, monkeypatch):
    def fails(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(baseline.files, "read_json", fails)
    with pytest.raises(baseline.BaselineError, match=r"gate.json: cannot be read \(Permission"):
        baseline.read(made[0])


LINES = (
    {
        "kind": "baseline",
        "date": "2026-01-01",
        "commit": "a",
        "verdict": "accepted",
        "reason": "first",
        "metrics": {"tau": [0.1, 0.2], "top_tenth": [90.0]},
    },
    {
        "kind": "check",
        "date": "2026-01-02",
        "commit": "b",
        "verdict": "green",
        "seeds": [1, 2],
        "draw": "b",
        "metrics": {"tau": [0.1, None]},
        "speed": {"step": [12.5, "1/s"]},
    },
)


@pytest.mark.parametrize("which", [0, 1])
def test_every_field_of_a_forged_history_is_refused_or_drawn(tmp_path, which):
    path, page = tmp_path / baseline.HISTORY, tmp_path / "trend.html"

    def put(value):
        lines = [*LINES[:which], value, *LINES[which + 1 :]]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def use():
        write_trend(baseline.history(path), page)
        assert "\x1b" not in page.read_text()

    put(LINES[which])
    use()
    at = f"{path}:{which + 1}: "
    refused, wrong = forged.refusals(LINES[which], put, use, at, random.Random(which), times=60)
    assert not wrong, "\n".join(wrong[:20])
    assert refused > 15
