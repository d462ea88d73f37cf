"""The rules by which an explanation is confirmed, refuted, left undecided or not judged, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from bench.ablation.criteria import (
    ALPHA,
    Criterion,
    Decision,
    Explanation,
    Failed,
    Failure,
    judge,
    manipulated,
    together,
)
from bench.decision.sequential import wealth_of_rate
from bench.statistics import UNDEFINED, seeds_needed

ENOUGH, NEVER = Failed(9, 10, 0.6, True), Failed(2, 10, 0.04, False)


def criterion(**fields: object) -> Criterion:
    said = {"says": "it falls", "metric": "skips", "of": "a", "expect": "lower", "smallest": 1.0}
    return Criterion.model_validate(said | fields)


@pytest.mark.parametrize(
    ("beyond", "short", "kind"),
    [
        (6, 0, "confirmed"),
        (0, 6, "refuted"),
        (5, 0, "undecided"),
        (8, 1, "confirmed"),
        (7, 1, "undecided"),
        (1, 8, "refuted"),
        (1, 7, "undecided"),
        (4, 4, "undecided"),
    ],
)
def test_both_answers_need_the_same_of_the_seeds(beyond: int, short: int, kind: str) -> None:
    """p is twice the binomial tail: 6 of 6 give 0.03125, 8 of 9 0.039, 7 of 8 0.0703."""
    d = [-2.0] * beyond + [-0.5] * short
    found = judge(d, criterion())
    tail = stats.binom.sf(max(beyond, short) - 1, beyond + short, 0.5)
    assert found.kind == kind and found.p == pytest.approx(min(1, 2 * tail))
    mirrored = judge([-x for x in d], criterion(expect="higher"))
    assert mirrored.kind == kind and mirrored.p == found.p


def test_an_effect_that_is_there_but_too_small_is_refuted_not_confirmed() -> None:
    found = judge([-0.5, -0.6, -0.4, -0.5, -0.7, -0.5], criterion())
    assert found.effect.excludes(0.0) and found.kind == "refuted"


def test_a_mean_that_is_large_by_one_seed_confirms_nothing() -> None:
    """Mean −2.3, and Student's interval did exclude what an outlier does not decide."""
    assert judge([-0.9] * 5 + [-9.0], criterion()).kind == "undecided"


def test_a_difference_of_just_the_smallest_effect_counts_for_neither() -> None:
    found = judge([-1.0] * 20, criterion())
    assert (found.beyond, found.short, found.seeds, found.kind) == (0, 0, 20, "undecided")


def test_what_was_never_reached_is_counted_as_beyond_every_number() -> None:
    never = judge([math.inf] * 6, criterion(expect="higher"))
    assert never.kind == "confirmed" and never.effect.estimate == math.inf
    both_never = judge([math.inf] * 6 + [math.nan] * 6, criterion(expect="higher"))
    assert (both_never.seeds, both_never.beyond, both_never.short) == (12, 6, 0)
    assert both_never.kind == "undecided"


@pytest.mark.parametrize("tests", [1, 4, 15])
def test_one_rule_says_how_many_seeds_are_too_few(tests: int) -> None:
    """The sign test about the smallest effect has the floor of the sign-flip test about zero."""
    fewest = seeds_needed(tests)
    for n, enough in ((fewest - 1, False), (fewest, True)):
        found = judge([-5.0] * n, criterion(), tests)
        assert (found.p * tests <= 0.05) is enough
        assert (found.more is None) is enough and math.isfinite(found.effect.low) is enough
    assert judge([], criterion(), tests).more == fewest


def test_how_many_more_seeds() -> None:
    assert judge([-5.0] * 4, criterion()).more == 2
    assert judge([-5.0, -5.0, 0.0], criterion()).more in range(20, 60)
    assert judge([-5.0, 0.0], criterion()).more is None


@pytest.mark.parametrize(
    ("a", "b", "smallest"), [(0.3, 0.2, 0.1), (0.4, 0.3, 0.1), (90.3, 88.3, 2.0)]
)
def test_a_difference_of_the_smallest_effect_counts_for_neither(
    a: float, b: float, smallest: float
) -> None:
    """In floats 0.3 − 0.2 is below 0.1 and 0.4 − 0.3 above."""
    for sign, expect in ((1, "higher"), (-1, "lower")):
        asked = criterion(expect=expect).model_copy(update={"smallest": smallest})
        found = judge([sign * (a - b)] * 8, asked)
        assert (found.beyond, found.short, found.kind) == (0, 0, "undecided")


def test_an_early_stretch_of_failures_is_not_held_against_all_searches() -> None:
    found = manipulated([1.0] * 50 + [0.0] * 50, Failure(above=0.5), looked=True)
    assert found.low <= found.failed / found.runs and not found.enough


def test_where_seeds_were_added_until_it_was_decided_the_p_holds_at_every_look() -> None:
    d = [-5.0] * 6 + [0.0] * 3
    assert judge(d, criterion()).kind == "undecided"
    assert judge(d, criterion(), looked=True).p <= 0.05  # a decision at the sixth stays
    assert judge([0.0] * 3 + [-5.0] * 8, criterion(), looked=True).p > 0.05


def test_the_bounds_are_those_of_the_test() -> None:
    values = [float(x) for x in range(1, 13)]
    found = judge(values, criterion(expect="higher"))
    # Binomial(12, ½) is at most 2 with 0.019: the third from either end.
    assert (found.effect.low, found.effect.high) == (3.0, 10.0)


@pytest.mark.parametrize(
    ("failed", "runs", "above", "enough"),
    [
        (5, 5, 0.5, True),
        (4, 4, 0.5, False),
        (8, 10, 0.5, False),
        (9, 10, 0.5, True),
        (0, 10, 0, False),
        (1, 5, 0.0, True),
        (0, 0, 0.0, False),
    ],
)
def test_nothing_is_judged_where_the_baseline_did_not_fail(
    failed: int, runs: int, above: float, enough: bool
) -> None:
    """Clopper and Pearson: 5 of 5 are at least 0.05^(1/5) = 0.549, 4 of 4 0.473."""
    found = manipulated([1.0] * failed + [0.0] * (runs - failed), Failure(above=above))
    assert found.enough is enough and (found.failed, found.runs) == (failed, runs)
    if failed:
        assert stats.binom.sf(failed - 1, runs, found.low) == pytest.approx(0.05, abs=1e-9)


def test_where_one_looked_the_baseline_s_rate_has_a_bound_that_holds_at_every_look() -> None:
    """Fair at the rate itself: over all histories of 10 the mean of the fortune is one."""
    half = Failure(above=0.5)
    assert [manipulated([1.0] * n, half, looked=True).enough for n in (6, 7)] == [False, True]
    assert manipulated([1.0] * 6, half).enough  # a number that was fixed beforehand
    assert manipulated([], half, looked=True).low == 0.0
    # What it once excluded stays excluded, whatever comes later; the order counts.
    early = manipulated([1.0] * 9 + [0.0] * 5, half, looked=True)
    late = manipulated([0.0] * 5 + [1.0] * 9, half, looked=True)
    assert (early.enough, late.enough) == (True, False)
    hits = (np.random.default_rng(0).random((2000, 30)) < 0.5).astype(float)
    excluded = wealth_of_rate(hits, 0.5).max(axis=1) >= 1 / ALPHA
    assert 0 < excluded.mean() <= ALPHA
    some = [*np.flatnonzero(excluded)[:5], *np.flatnonzero(~excluded)[:5]]
    found = [manipulated(hits[i].tolist(), half, looked=True).enough for i in some]
    assert found == [True] * 5 + [False] * 5


def decision(leaning: str, p: float) -> Decision:
    return Decision("undecided", UNDEFINED, p, leaning, 9, 9, 0, None)  # type: ignore[arg-type]


def test_the_correction_is_the_same_in_both_directions() -> None:
    yes, no = decision("confirmed", 0.02), decision("refuted", 0.02)
    assert [kind for kind, _ in together([yes], [ENOUGH])] == ["confirmed"]
    assert [kind for kind, _ in together([no], [ENOUGH])] == ["refuted"]
    four = together([yes, no, yes, no], [ENOUGH] * 4)
    assert four == [("undecided", pytest.approx(0.08))] * 4


def test_what_is_not_judged_still_counts_as_a_test() -> None:
    kinds = together([decision("confirmed", 0.03), decision("refuted", 0.001)], [ENOUGH, NEVER])
    assert [kind for kind, _ in kinds] == ["confirmed", "not judged"]
    kinds = together([decision("confirmed", 0.03), decision("refuted", 0.9)], [ENOUGH, NEVER])
    assert [kind for kind, _ in kinds] == ["undecided", "not judged"]


@pytest.mark.parametrize(
    "fields",
    [
        {"against": "a"},
        {"against": "b", "value": 0.5},
        {"when": [0.5, 0.2]},
        {"when": [0, 1.5]},
        {"smallest": 0},
        {"expect": "different"},
        {"metrics": "x"},
        {"role": "secondary"},
    ],
)
def test_contradictions_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        criterion(**fields)


@pytest.mark.parametrize("roles", [[], ["support"], ["primary", "primary"]])
def test_an_explanation_has_one_primary_criterion(roles: list[str]) -> None:
    with pytest.raises(ValidationError):
        Explanation.model_validate(
            {
                "claim": "so",
                "failure": {},
                "criteria": [criterion(role=r).model_dump() for r in roles],
            }
        )
