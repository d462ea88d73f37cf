"""A reading beside true accuracy, and the discretisation gap, where they were read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.report.figures import readings
from bench.report.page import render
from bench.report.pairs import gaps, paired, pairs
from bench.report.summary import Summary
from tests.report.builders import folder, history, ok


def read(root: Path, **more: float) -> Summary:
    """Return a folder whose readings have some more, and one of whose searches stopped itself."""

    def trail(seed: int) -> list[dict[str, Any]]:
        return [entry | more for entry in history(4, seed)]

    stopped = {"epoch": 3, "reason": "the eigenvalue rose"}
    arms = {
        "old": [ok(5, history=trail(0)), ok(5, history=trail(1))],
        "new": [ok(1, history=trail(0), stopped=stopped), ok(1, history=trail(1))],
    }
    return Summary.read(folder(root / "x", arms, rankings=False))


def test_an_eigenvalue_is_drawn_above_true_accuracy_with_the_stop(tmp_path: Path) -> None:
    summary = read(tmp_path, hessian_max=0.2)
    drawn = {chart.name: chart for chart in pairs(summary, readings(summary))}
    assert set(drawn) == {"pair-0-0", "pair-0-1"}
    old, new = drawn["pair-0-0"].panels, drawn["pair-0-1"].panels
    assert [part.y_label for part in old] == ["hessian max", "true accuracy (%)"]
    assert [part.marks for part in old] == [[], []]
    assert [[(m["x"], m.get("text")) for m in part.marks] for part in new] == [
        [(3.0, "stop 3")],
        [(3.0, None)],
    ]


def test_eigenvalues_come_first_and_neither_spreads_nor_a_spectrum_bury_them(
    tmp_path: Path,
) -> None:
    more = {"hessian_eigenvalue_max": 0.3, "hessian_eigenvalue_max_sd": 0.1, "hessian_trace": 1.0}
    more |= {f"hessian_spectrum_{i:02d}": 0.0 for i in range(30)} | {"stop_eigenvalue": 0.3}
    drawn = paired(readings(read(tmp_path, **more)))
    assert drawn[:2] == ["hessian_eigenvalue_max", "stop_eigenvalue"] and len(drawn) == 3


def test_the_gap_is_one_figure_per_variant(tmp_path: Path) -> None:
    summary = read(tmp_path, gap_soft=90.0, gap_argmax=80.0)
    drawn = list(gaps(summary, readings(summary)))
    assert [chart.name for chart in drawn] == ["gap-0", "gap-1"]
    assert [line["n"] for line in drawn[0].panels[0].lines] == ["soft", "argmax"]


def test_the_page_has_them_only_where_they_were_read(tmp_path: Path) -> None:
    text = render(read(tmp_path, hessian_max=0.2, gap_soft=90.0))
    assert 'id="pairs"' in text and 'id="gaps"' in text
    bare = read(tmp_path / "bare")
    assert not paired(readings(bare)) and not list(gaps(bare, readings(bare)))
