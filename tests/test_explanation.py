"""The rules by which an explanation is confirmed, refuted or left undecided, by hand."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from bench.ablation.criteria import Criterion, Decision, judge, together
from bench.statistics import UNDEFINED


def criterion(**fields: object) -> Criterion:
    said = {"says": "it falls", "metric": "skips", "of": "a", "expect": "lower", "smallest": 1.0}
    return Criterion.model_validate(said | fields)


# Five seeds with sd 1: Student's t(4) at 97.5 % is 2.776, so that the half width is 1.2417.
SPREAD = [-1.264911, -0.632456, 0.0, 0.632456, 1.264911]


@pytest.mark.parametrize(
    ("mean", "expect", "kind"),
    [
        (-2.0, "lower", "confirmed"),  # [-3.24, -0.76] excludes 0, mean beyond 1
        (-1.3, "lower", "confirmed"),
        (-1.2, "lower", "undecided"),  # [-2.44, +0.04]
        (-0.5, "lower", "undecided"),  # [-1.74, +0.74]: 1 and 0 both possible
        (0.3, "lower", "refuted"),  # at most -0.94, less than the effect of interest
        (0.2, "lower", "undecided"),  # at most -1.04
        (2.0, "lower", "refuted"),
        (2.0, "higher", "confirmed"),
    ],
)
def test_one_criterion(mean: float, expect: str, kind: str) -> None:
    found = judge([mean + x for x in SPREAD], criterion(expect=expect))
    assert found.kind == kind and found.seeds == 5
    assert found.effect.estimate == pytest.approx(mean)
    assert found.effect.high - found.effect.low == pytest.approx(2 * 2.776445 / 5**0.5, rel=1e-6)


def test_an_effect_that_is_there_but_too_small_is_refuted() -> None:
    found = judge([-0.5 + x / 100 for x in SPREAD], criterion())
    assert found.effect.excludes(0.0) and found.kind == "refuted"


def test_p_is_one_sided_in_the_direction_claimed() -> None:
    """t = 2·√5/1 = 4.472 with 4 degrees of freedom: p = 0.00553."""
    assert judge([2 + x for x in SPREAD], criterion(expect="higher")).p == pytest.approx(
        0.00553, abs=1e-5
    )
    assert judge([2 + x for x in SPREAD], criterion()).p == pytest.approx(1 - 0.00553, abs=1e-5)


def test_how_many_more_seeds() -> None:
    """With mean −1.2 and sd 1: t(5)·1/√6 = 1.0494 < 1.2, so that one more seed decides."""
    assert judge([-1.2 + x for x in SPREAD], criterion()).more == 1
    # Between 0 and the effect of interest it is decided where −0.5 − half > −1: half < 0.5.
    # t(17)·1/√18 = 0.4973 is the first below it.
    assert judge([-0.5 + x for x in SPREAD], criterion()).more == 18 - 5
    assert judge([-1.5, -1.5 + 1e-9], criterion()).more == 3  # at least five in any case


def test_nothing_is_concluded_from_few_seeds() -> None:
    assert judge([-5.0, -5.1, -5.2, -5.3], criterion()).kind == "undecided"
    assert judge([-5.0], criterion()).more == 4
    nothing = judge([math.nan], criterion())
    assert nothing.seeds == 0 and nothing.kind == "undecided" and math.isnan(nothing.p)


def test_seeds_that_all_agree() -> None:
    assert judge([-2.0] * 5, criterion()).kind == "confirmed"
    assert judge([0.0] * 5, criterion()).kind == "refuted"


def decision(kind: str, p: float) -> Decision:
    return Decision(kind, UNDEFINED, p, 5, None)  # type: ignore[arg-type]


def test_an_explanation_needs_all_of_its_criteria() -> None:
    yes, no, open_ = (
        decision("confirmed", 0.001),
        decision("refuted", 0.9),
        decision("undecided", 0.2),
    )
    assert [kind for kind, _ in together([[yes, yes], [yes, no], [yes, open_], [no, open_]])] == [
        "confirmed", "refuted", "undecided", "refuted",
    ]  # fmt: skip


def test_holm_over_explanations_counts_the_largest_p_of_each() -> None:
    """Two explanations with p 0.02 and 0.03: Holm gives 0.04 and 0.04; with a third of 0.01, 0.05."""
    a, b = (
        [decision("confirmed", 0.001), decision("confirmed", 0.02)],
        [decision("confirmed", 0.03)],
    )
    assert together([a, b]) == [
        ("confirmed", pytest.approx(0.04)),
        ("confirmed", pytest.approx(0.04)),
    ]
    three = together([a, b, [decision("confirmed", 0.024)]])
    assert [p for _, p in three] == [pytest.approx(0.06)] * 3
    assert {kind for kind, _ in three} == {"undecided"}


@pytest.mark.parametrize(
    "fields",
    [
        {"against": "a"}, {"against": "b", "value": 0.5}, {"when": [0.5, 0.2]}, {"when": [0, 1.5]},
        {"smallest": 0}, {"expect": "different"}, {"metrics": "x"},
    ],
)  # fmt: skip
def test_contradictions_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        criterion(**fields)
