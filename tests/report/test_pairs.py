"""A reading beside true accuracy, and the discretisation gap, where they were read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.report import svg
from bench.report.page import render
from bench.report.pairs import gaps, pair, paired, pairs
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
    with svg.style():
        drawn = {d.name: d for d in pairs(summary)}
    assert set(drawn) == {"pair-hessian_max-0", "pair-hessian_max-1"}
    old, new = drawn["pair-hessian_max-0"].image, drawn["pair-hessian_max-1"].image
    assert "hessian max" in old and "true accuracy (%)" in old and "stop 3" not in old
    assert new.count(">stop 3<") == 1 and new.count('id="pair-hessian_max-1-stop"') == 2


def test_eigenvalues_come_first_and_neither_spreads_nor_a_spectrum_bury_them(
    tmp_path: Path,
) -> None:
    more = {"hessian_eigenvalue_max": 0.3, "hessian_eigenvalue_max_sd": 0.1, "hessian_trace": 1.0}
    more |= {f"hessian_spectrum_{i:02d}": 0.0 for i in range(30)} | {"stop_eigenvalue": 0.3}
    drawn = paired(read(tmp_path, **more))
    assert drawn[:2] == ["hessian_eigenvalue_max", "stop_eigenvalue"] and len(drawn) == 3


def test_any_reading_can_stand_there(tmp_path: Path) -> None:
    with svg.style():
        drawing = pair(read(tmp_path), "valid_accuracy", 0, "old")
    assert drawing is not None and "valid accuracy" in drawing.image


def test_the_gap_is_one_figure_per_variant(tmp_path: Path) -> None:
    with svg.style():
        drawn = list(gaps(read(tmp_path, gap_soft=90.0, gap_argmax=80.0)))
    assert [d.name for d in drawn] == ["gap-0", "gap-1"]
    assert ">soft<" in drawn[0].image and ">argmax<" in drawn[0].image


def test_the_page_has_them_only_where_they_were_read(tmp_path: Path) -> None:
    text = render(read(tmp_path, hessian_max=0.2, gap_soft=90.0))
    assert 'id="pairs"' in text and 'id="gaps"' in text
    bare = read(tmp_path / "bare")
    assert not paired(bare) and not list(gaps(bare))
