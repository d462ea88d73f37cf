"""Known results give known numbers and a known answer; failures are counted, never dropped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.ranking.correlation import tau_b
from bench.report.notes import caveats, near_chance, notes
from bench.report.summary import Summary
from bench.runs import store
from tests.report.builders import failed, folder, ok


def test_a_clear_effect_is_answered_with_interval_seeds_p_and_failures(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(5)] * 8, "new": [ok(2)] * 8})
    summary = Summary.read(root)
    assert summary.answer == (
        "Yes, skip count is lower as expected: 8 of 8 cells of old have collapsed (five sixths of the "
        "edges without weights), 0 of 8 of new. Skip count of new is 3.0 edges below that of old "
        "(95 % interval −3.0 to −3.0; mean over 8 paired seeds). Sign-flip p = 0.0078. "
        "None of 16 runs failed."
    )
    assert summary.verdict.kind == "supported" and summary.any_ok


def test_the_opposite_of_what_was_expected_is_said(tmp_path: Path) -> None:
    summary = Summary.read(folder(tmp_path / "x", {"old": [ok(2)] * 8, "new": [ok(5)] * 8}))
    assert summary.verdict.kind == "opposite"
    assert summary.answer.startswith("No, the opposite: skip count is higher, expected lower:")


def test_an_interval_that_includes_zero_is_no_effect(tmp_path: Path) -> None:
    old, new = [ok(s) for s in (1, 2, 3, 4, 1, 2, 3, 4)], [ok(s) for s in (2, 1, 4, 3, 2, 1, 4, 2)]
    summary = Summary.read(folder(tmp_path / "x", {"old": old, "new": new}))
    assert summary.verdict.kind == "unclear"
    assert "No difference in skip count shown" in summary.answer
    assert "which includes no difference" in summary.answer


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_too_few_seeds_conclude_nothing_however_large_the_effect(
    tmp_path: Path, seeds: int
) -> None:
    summary = Summary.read(folder(tmp_path / "x", {"old": [ok(6)] * seeds, "new": [ok(0)] * seeds}))
    assert summary.verdict.kind == "too_few"
    floor = {2: "0.5", 3: "0.25", 5: "0.0625"}[seeds]
    assert f"cannot fall below {floor}: at least 6 paired seeds" in summary.answer


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    summary = Summary.read(folder(tmp_path / "x", {"old": [ok(6)], "new": [ok(0)]}))
    assert "(−6.0: too few for an interval; mean over 1 paired seed)" in summary.answer
    row = summary.variants.iloc[0]
    assert row["skip_count"] == 6 and row[["skip_count_low", "skip_count_high"]].isna().all()


def test_below_six_seeds_there_are_values_and_no_intervals(tmp_path: Path) -> None:
    """Else the bootstrap's bounds are the extremes of the seeds, and are called 95 %."""
    few = Summary.read(
        folder(
            tmp_path / "x", {"old": [ok(s) for s in (4, 5, 6)], "new": [ok(s) for s in (1, 2, 1)]}
        )
    )
    assert "(−3.0, −3.0, −5.0: too few for an interval; mean over 3 paired seeds)" in few.answer
    row = few.variants.iloc[0]
    assert row[["skip_count_low", "skip_count_high", "tau_low", "tau_high"]].isna().all()
    assert (
        row["collapsed_low"] < row["collapsed"] <= row["collapsed_high"]
    )  # Wilson's holds for any


def test_ties_cannot_conclude(tmp_path: Path) -> None:
    summary = Summary.read(folder(tmp_path / "x", {"old": [ok(1)] * 8, "new": [ok(1)] * 8}))
    assert "All pairs are tied" in summary.answer
    assert summary.variants.iloc[1]["ties"] == 8 and summary.verdict.kind == "unclear"


def test_every_kind_of_failure_is_counted(tmp_path: Path) -> None:
    new = [
        ok(1),
        failed(),
        failed("out_of_memory", "no memory"),
        failed("failed", "KeyError: x"),
        None,
        ok(1),
    ]
    root = folder(tmp_path / "x", {"old": [ok(5)] * 6, "new": new})
    summary = Summary.read(root)
    assert list(summary.runs[summary.runs["label"] == "new"]["status"]) == [
        "ok",
        "diverged",
        "out_of_memory",
        "failed",
        "missing",
        "ok",
    ]
    row = summary.variants.set_index("label").loc["new"]
    assert (row["planned"], row["ok"], row["failed"], row["pairs"]) == (6, 2, 4, 2)
    assert row["skip_count_n"] == 2 and row["collapsed_n"] == 2
    assert "4 of 12 runs did not finish" in summary.answer
    assert "4 of 6 planned pairs are missing here" in summary.answer


def test_a_damaged_result_is_a_missing_run(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(5)], "new": [ok(1)]})
    path = next(root.glob("new*")) / store.RESULT
    path.write_text(path.read_text().replace('"skip_count": 1', '"skip_count": 0'))
    row = Summary.read(root).runs.set_index("label").loc["new"]
    assert (row["status"], row["error"]) == (
        "missing",
        "its result is damaged (result.json: was changed, or is not one)",
    )


@pytest.mark.parametrize("outcome", [failed(), None])
def test_when_nothing_finished_there_is_no_answer(tmp_path: Path, outcome: dict | None) -> None:
    summary = Summary.read(folder(tmp_path / "x", {"old": [outcome] * 2, "new": [outcome] * 2}))
    assert not summary.any_ok and summary.verdict.kind == "unmeasured"
    assert summary.answer.startswith(
        "No answer: no run of new finished. 4 of 4 runs did not finish"
    )
    json.loads(summary.as_json())


def test_a_metric_that_no_run_measured_is_no_answer(tmp_path: Path) -> None:
    outcome = ok(1) | {"true_accuracy": float("nan")}
    root = folder(
        tmp_path / "x", {"old": [outcome] * 2, "new": [outcome] * 2}, metric="true_accuracy"
    )
    assert (
        "No answer: true accuracy was not measured in any run of new." in Summary.read(root).answer
    )


def test_a_variant_that_was_left_out_with_only_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"new": [ok(1)] * 2})
    assert "No answer: old was not run." in Summary.read(root).answer


def test_an_unknown_metric_is_one_clear_line(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(1)], "new": [ok(1)]}, metric="skip_cuont")
    with pytest.raises(
        ValueError, match=r"ablation.json: contrast.metric: .*'skip_cuont'.*'skip_count'"
    ):
        Summary.read(root)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"question": 1}', "\xff"])
def test_a_folder_without_a_sound_manifest_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="no output folder"):
        Summary.read(tmp_path)
    (tmp_path / "ablation.json").write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=r"ablation\.json") as caught:
        Summary.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x-seed0-ab", "x", "/x-seed0-ab", "a/b-seed0-ab", 3])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path: Path, name: object) -> None:
    root = folder(tmp_path / "x", {"old": [ok(1)], "new": [ok(1)]}, runs=[name])
    with pytest.raises(ValueError, match=r"ablation\.json: runs"):
        Summary.read(root)


def test_collapse_is_five_sixths_without_weights(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(4), ok(5), ok(6)], "new": [ok(0)] * 3})
    row = Summary.read(root).variants.iloc[0]
    assert row["collapsed"] == pytest.approx(2 / 3)
    assert (row["collapsed_low"], row["collapsed_high"]) == pytest.approx(
        (0.2077, 0.9385), abs=1e-4
    )


def test_holm_counts_every_variant_but_the_baseline(tmp_path: Path) -> None:
    arms = {"old": [ok(5)] * 8, "new": [ok(1)] * 8, "other": [ok(5)] * 8, "broken": [failed()] * 8}
    table = Summary.read(folder(tmp_path / "x", arms)).variants.set_index("label")
    assert table.loc["new", "p"] == pytest.approx(2 / 256)
    assert table.loc["new", "p_holm"] == pytest.approx(6 / 256)
    assert table["p_holm"].isna().to_dict() == {
        "old": True,
        "new": False,
        "other": False,
        "broken": True,
    }


def test_without_rankings_tau_is_bootstrapped_over_seeds(tmp_path: Path) -> None:
    arms = {"old": [ok(5, tau=t) for t in (0.1, 0.2, 0.3) * 2], "new": [ok(1)] * 6}
    row = Summary.read(folder(tmp_path / "x", arms, rankings=False)).variants.iloc[0]
    assert row["tau"] == pytest.approx(0.2) and 0.1 <= row["tau_low"] < 0.2 < row["tau_high"] <= 0.3


def test_the_interval_of_a_stratified_ranking_is_weighted_like_its_tau(tmp_path: Path) -> None:
    """The rare half is in order and drawn as often as the common one, which is in reverse."""
    truth = np.arange(80.0)
    weight, stratum = np.repeat([99.0, 1.0], 40), np.repeat([0, 1], 40)
    scores = np.where(truth < 40, 39 - truth, truth)
    tau = tau_b(scores, truth, weight)
    assert tau < -0.9 and tau_b(scores, truth) > 0.4
    root = folder(tmp_path / "x", {"old": [ok(5, tau=tau)] * 6, "new": [ok(1)] * 6})
    for seed in range(6):
        frame = pd.DataFrame(
            {
                "arch": [f"cell {i}" for i in range(80)],
                "accuracy": scores,
                "loss": -scores,
                "truth": truth,
                "parameters": truth,
                "weight": weight,
                "stratum": stratum,
            }
        )
        frame.to_parquet(root / f"old-seed{seed}-{'0' * 16}" / store.RANKING)
    row = Summary.read(root).variants.set_index("label").loc["old"]
    assert row["tau"] == pytest.approx(tau)
    assert row["tau_low"] == pytest.approx(tau, abs=0.05)
    assert row["tau_high"] == pytest.approx(tau, abs=0.05)


def test_history_and_alphas_are_long_and_finite(tmp_path: Path) -> None:
    summary = Summary.read(
        folder(tmp_path / "x", {"old": [ok(5)] * 2, "new": [ok(1)] * 2}, epochs=3)
    )
    assert len(summary.alphas) == 4 * 3 * 30
    assert (
        summary.alphas.groupby(["label", "seed", "epoch", "edge"])["share"]
        .sum()
        .round(9)
        .eq(1)
        .all()
    )
    assert "alpha" not in set(summary.history["metric"])
    assert set(summary.history["epoch"]) == {1, 2, 3}


def test_runs_of_other_settings_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", {"old": [ok(5)], "new": [ok(1)]})
    (root / "old-seed0-ffff").mkdir()
    (root / "old-seed0-ffff" / store.SPEC).write_text("{}")
    summary = Summary.read(root)
    assert summary.foreign == 1 and len(summary.runs) == 2


def test_what_data_has_its_readers_know_and_who_has_not_learned_is_said(tmp_path: Path) -> None:
    data = {"dataset": "digits", "images": 900, "classes": 10, "caveat": "Mind the digits."}
    learned, not_learned = (ok(1, data=data, train_accuracy=x) for x in (71.0, 13.2))
    root = folder(tmp_path / "x", {"old": [learned] * 2, "new": [not_learned] * 2})
    found = notes(Summary.read(root))
    assert found[0] == "Mind the digits." and found[1].startswith(
        "The supernets of new were right on 13 % of their training images at the end (10 % is chance)"
    )
    assert not [text for text in found if "supernets of old" in text]
    plain = Summary.read(folder(tmp_path / "y", {"old": [ok(1)], "new": [ok(1)]}))
    assert caveats(plain) == near_chance(plain) == []
