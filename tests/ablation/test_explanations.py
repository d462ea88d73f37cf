"""The four explanations as they are shipped: every criterion can be answered at the scale they are run at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.ablation.criteria import manipulated
from bench.ablation.file import read_ablation

ROOT = Path(__file__).parents[2] / "ablations"
FILES = {
    "1-gradient-share": "explanations",
    "2-co-adaptation": "explanations",
    "3-discretisation": "explanations",
    "4-short-horizon": "explanations-horizon",
}


@pytest.fixture(scope="module", params=FILES)
def asked(request: pytest.FixtureRequest) -> Any:
    profile = ROOT / "profiles" / f"{FILES[request.param]}.yaml"
    return read_ablation(ROOT / "explanations" / f"{request.param}.yaml", str(profile))


def instruments(asked: Any, label: str) -> dict[str, Any]:
    (arm,) = (arm for arm in asked.arms if arm.label == label)
    return {instrument.name: instrument for instrument in arm.settings.instruments}


def test_it_is_asked_where_depth_lets_darts_collapse(asked: Any) -> None:
    for arm in asked.arms:
        assert arm.settings.space.cells >= 3
    failure, seeds = asked.explanation.failure, len(asked.seeds)
    fewest = next(
        n for n in range(seeds + 1) if manipulated([1.0] * n + [0.0] * (seeds - n), failure).enough
    )
    assert (seeds, fewest) == (12, 10)  # as the profile says


def test_every_window_has_a_reading(asked: Any) -> None:
    from bench.metrics import find

    windows = [c for c in asked.explanation.criteria if c.when is not None]
    for criterion in windows:
        found = find(criterion.metric)
        assert found is not None
        for label in filter(None, (criterion.of, criterion.against)):
            (arm,) = (arm for arm in asked.arms if arm.label == label)
            epochs, every = (
                arm.settings.search.epochs,
                instruments(asked, label)[found[0]].every,
            )
            inside = [
                e
                for e in range(1, epochs + 1)
                if (e % every == 0 or e == epochs)
                and criterion.when[0] < e / epochs <= criterion.when[1]
            ]
            assert len(inside) >= 2, (criterion.metric, label)


def test_what_is_matched_is_read_in_both_and_falls(asked: Any) -> None:
    for criterion in asked.explanation.criteria:
        if criterion.matched is None:
            continue
        for label in (criterion.of, criterion.against):
            assert instruments(asked, label)["likeness_change"].every <= 2


def test_the_criteria_are_against_nulls_and_controls_that_are_some() -> None:
    """What each primary criterion is measured against, in its own name or its control."""
    primaries, seen = {}, {}
    for name, profile in FILES.items():
        path = ROOT / "profiles" / f"{profile}.yaml"
        found = read_ablation(ROOT / "explanations" / f"{name}.yaml", str(path))
        (primary,) = (c for c in found.explanation.criteria if c.role == "primary")
        primaries[name], seen[name] = primary, found
    assert primaries["1-gradient-share"].metric == "pull_excess"
    thresholds = {
        c.metric
        for c in seen["1-gradient-share"].explanation.criteria
        if c.metric.startswith("crossing_epochs_")
    }
    assert len(thresholds) >= 3
    likeness = primaries["2-co-adaptation"]
    assert likeness.matched == "likeness_loss" and likeness.against == "dropped_operations"
    labels = {arm.label for arm in seen["2-co-adaptation"].arms}
    assert "uniform_sampling" not in labels  # single paths are no negative control
    gap = instruments(seen["3-discretisation"], "darts")["discretisation_gap"]
    assert primaries["3-discretisation"].metric == "finetuned_advantage"
    assert gap.random >= 8 and gap.finetune >= 1
    horizon = primaries["4-short-horizon"]
    assert horizon.metric == "bias_reference_implicit_skip_share" and horizon.expect == "lower"
    bias = instruments(seen["4-short-horizon"], "darts")["hypergradient_bias"]
    assert bias.reference.T >= 100 and bias.sequences >= 16


def test_searches_serve_all_three_files() -> None:
    """`bench run --reuse` finds plain DARTS again: its settings are the same in each."""
    profile = str(ROOT / "profiles" / "explanations.yaml")
    plain = [
        next(a.settings for a in read_ablation(path, profile).arms if a.label == "darts")
        for path in sorted((ROOT / "explanations").glob("[123]-*.yaml"))
    ]
    assert len(plain) == 3 and plain[0] == plain[1] == plain[2]
