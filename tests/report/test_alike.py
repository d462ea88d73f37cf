"""Runs that were not made or judged alike are never put together without a word."""

import math
from pathlib import Path

import pytest

from bench.report.summary import Summary
from bench.report.table import as_markdown
from tests.report.builders import TRUTH, folder, ok

OTHER = {**TRUTH, "sha256": "cd" * 32}
MIXES = {
    "truth": ({"truth": OTHER}, {"true_accuracy", "regret", "percentile"}, "ground truths"),
    "protocol": ({"protocol": "ba9876543210"}, {"tau", "tau_loss"}, "ranking protocols"),
    "images": (
        {"contents": {"data": "1" * 64}},
        {"skip_count", "true_accuracy", "tau"},
        "images",
    ),
}


def read(root: Path, kind: str, **more: object) -> Summary:
    change = MIXES[kind][0]
    runs = [ok(2, 89.79, contents={"data": "0" * 64}), ok(2, 28.67, contents={"data": "0" * 64})]
    runs[1] |= change
    return Summary.read(folder(root / "x", {"new": runs, "old": [ok(5), ok(5)]}, **more))


@pytest.mark.parametrize("kind", MIXES)
def test_a_variant_whose_runs_differ_in_more_than_the_seed_has_no_such_numbers(
    tmp_path: Path, kind: str
) -> None:
    _, concerned, named = MIXES[kind]
    found = read(tmp_path, kind)
    row = found.variants.set_index("label").loc["new"]
    for name in ("skip_count", "true_accuracy", "regret", "percentile", "tau", "tau_loss"):
        known = name not in concerned and kind != "images"
        assert math.isfinite(row[name]) is known, name
    assert math.isfinite(found.variants.set_index("label").loc["old"]["true_accuracy"])
    (note,) = found.mixed
    assert f"The runs of new have different {named}" in note
    assert note in as_markdown(found).replace("\\", "") and note[:60] in found.as_json()


def test_runs_that_are_alike_are_put_together(tmp_path: Path) -> None:
    found = Summary.read(folder(tmp_path / "x", {"new": [ok(2), ok(1)], "old": [ok(5), ok(5)]}))
    assert found.mixed == () and found.variants["true_accuracy"].notna().all()


@pytest.mark.parametrize(("kind", "metric"), [("truth", "true_accuracy"), ("protocol", "tau")])
def test_variants_that_were_judged_by_different_measures_have_numbers_and_no_difference(
    tmp_path: Path, kind: str, metric: str
) -> None:
    change = MIXES[kind][0]
    new = [ok(2, 90.0 + i, **change) for i in range(2)]
    root = folder(tmp_path / "x", {"new": new, "old": [ok(5), ok(5)]}, metric=metric)
    found = Summary.read(root)
    row = found.variants.set_index("label").loc["new"]
    assert math.isfinite(row[metric]) and not math.isfinite(row["difference"])
    assert found.verdict.comparison.seeds == ()
