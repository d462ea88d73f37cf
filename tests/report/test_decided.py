"""The answer where seeds were added until it was decided: in words, and by the rule of the looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report.page import render
from bench.report.rows import value
from bench.report.summary import Summary
from tests.report.builders import failed, folder, ok

UNTIL = {"until": "decided", "most": 20, "budget": None}


def grown(
    root: Path, old: list[Any], new: list[Any], smallest: float | None = None, **more: Any
) -> Summary:
    folder(root, {"old": old, "new": new}, until=UNTIL, rankings=False, **more)
    path = root / "ablation.json"
    manifest = json.loads(path.read_text())
    manifest["seeds"] = list(range(20))
    manifest["contrast"]["smallest"] = smallest
    path.write_text(json.dumps(manifest))
    return Summary.read(root)


def test_a_rate_is_decided_in_counts_that_need_no_statistics(tmp_path: Path) -> None:
    summary = grown(tmp_path / "x", [ok(6)] * 7, [ok(0)] * 7, metric="collapsed")
    assert summary.verdict.kind == "supported" and summary.verdict.more == 0
    assert summary.answer.startswith(
        "Decided: yes, collapse rate is lower as expected: collapsed: 0 of 7 (new) against "
        "7 of 7 (old); difference of the rates −1.00 (95 % confidence sequence −1.00 to −0.1"
    )
    assert "Decided after 6 pairs" in summary.answer and "Sign-flip" not in summary.answer


def test_a_number_is_decided_by_how_many_pairs_are_higher(tmp_path: Path) -> None:
    old, new = [ok(4, 80.0 + i) for i in range(6)], [ok(1, 90.0 + 2 * i) for i in range(6)]
    summary = grown(tmp_path / "x", old, new, metric="true_accuracy", expect="higher")
    assert (
        "true accuracy of new is higher than that of old in 6 of 6 pairs and lower in 0; median "
        "difference +12.50 points (95 % confidence sequence +10.00 to +15.00)"
    ) in summary.answer


def test_what_failed_is_counted_in_words_first(tmp_path: Path) -> None:
    old, new = [ok(5, 80.0 + i) for i in range(6)], [ok(1, 90.0 + 2 * i) for i in range(6)]
    old = [run | {"percentile": 3.0} for run in old]
    summary = grown(tmp_path / "x", old, new, metric="true_accuracy", expect="higher")
    assert summary.answer.startswith(
        "Decided: yes, true accuracy tends to be higher as expected: 6 of 6 cells of old are worth "
        "less than one drawn at random, 0 of 6 of new; 6 of 6 cells of old have collapsed (five "
        "sixths of the edges without weights), 0 of 6 of new. True accuracy of new"
    )


def test_nothing_of_interest(tmp_path: Path) -> None:
    summary = grown(tmp_path / "x", [ok(2)] * 16, [ok(2)] * 16, 0.3, metric="collapsed")
    assert summary.verdict.kind == "equivalent"
    assert "no difference in collapse rate that would be of interest" in summary.answer


def test_undecided_says_what_it_would_take(tmp_path: Path) -> None:
    summary = grown(tmp_path / "x", [ok(6)] * 4, [ok(0)] * 4, metric="collapsed")
    assert summary.verdict.kind == "undecided" and summary.verdict.more == 2
    assert "about 2 more pairs if it goes on like this, about 2 min of computing" in summary.answer
    assert json.loads(summary.as_json())["more_pairs"] == 2
    assert 'class="verdict undecided' in render(summary)


def test_pairs_behind_one_that_has_not_ended_do_not_count(tmp_path: Path) -> None:
    summary = grown(tmp_path / "x", [ok(6)] * 8, [ok(0), None, *[ok(0)] * 6], metric="collapsed")
    assert summary.verdict.decision is not None and summary.verdict.decision.pairs == 1


def test_a_failed_pair_is_passed_over_and_said(tmp_path: Path) -> None:
    summary = grown(
        tmp_path / "x", [ok(6)] * 7, [ok(0), failed(), *[ok(0)] * 5], metric="collapsed"
    )
    assert summary.verdict.decision is not None and summary.verdict.decision.pairs == 6
    assert "1 of 14 runs did not finish" in summary.answer


def test_worse_than_random_is_read_off_the_percentile(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "x", {"old": [ok(6, percentile=3.0), ok(6, percentile=50.0), failed()]}
    )
    runs = sorted(root.glob("old-*"))
    assert [value(run, "worse_than_random") for run in runs[:2]] == [1.0, 0.0]
    assert value(runs[2], "worse_than_random") != value(runs[2], "worse_than_random")  # NaN


def test_pairs_after_the_look_that_decided_are_not_hidden(tmp_path: Path) -> None:
    old = [ok(4, 80.0 + i) for i in range(10)]
    new = [ok(1, 90.0 + i) for i in range(8)] + [ok(1, 60.0), ok(1, 60.0)]
    summary = grown(tmp_path / "x", old, new, metric="true_accuracy", expect="higher")
    assert summary.verdict.decision is not None and summary.verdict.decision.at == 6
    after = f"{summary.verdict.decision.evidence:.3g} to 1 after 10 pairs"
    assert f"(evidence against no difference 20.1 to 1 then, {after})" in summary.answer
    assert summary.verdict.decision.evidence < 20
