"""Readings at an equal level of something that falls: by hand, and against those at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.ablation.criteria import Criterion
from bench.report.matched import value_at
from bench.report.ruling import read
from tests.report.builders import folder, ok

LIKER: dict[str, Any] = {
    "says": "more alike",
    "metric": "likeness",
    "of": "fast",
    "against": "slow",
    "expect": "higher",
    "smallest": 0.1,
    "role": "primary",
    "matched": "loss",
}


@pytest.mark.parametrize(
    ("level", "expected"),
    [(2.5, 0.0), (2.0, 0.0), (1.5, 0.3), (1.0, 0.6), (0.9, 0.6), (0.5, 0.4)],
)
def test_the_value_where_a_level_is_first_reached(level: float, expected: float) -> None:
    """Between 2 and 1 linearly; it goes up to 1.4 in between, and the first time counts."""
    path = [(2.0, 0.0), (1.0, 0.6), (1.4, 9.0), (0.9, 0.6), (0.5, 0.4)]
    assert value_at(path, level) == pytest.approx(expected)


def test_a_level_that_was_not_reached_is_no_number() -> None:
    with pytest.raises(ValueError, match="no reading"):
        value_at([(2.0, 0.0), (1.0, 1.0)], 0.5)


def search(rate: float, epochs: int = 10) -> dict[str, Any]:
    """Likeness follows the loss alone: −(loss − 2)."""
    losses = [2.0 - rate * e for e in range(1, epochs + 1)]
    rows = [
        {"epoch": e, "loss": loss, "likeness": 2.0 - loss} for e, loss in enumerate(losses, start=1)
    ]
    return ok(6, history=rows)


def judged(tmp_path: Path, **changes: Any) -> dict[int, float]:
    criterion = {k: v for k, v in (LIKER | changes).items() if v is not None}
    stated = {"claim": "So.", "failure": {"of": "slow"}, "criteria": [criterion]}
    outcomes = {
        "fast": [search(0.15), search(0.18)],
        "slow": [search(0.05), search(0.1), search(0.1)],
    }
    (verdict,) = read([folder(tmp_path, outcomes, explanation=stated)])
    return verdict.criteria[0].differences


def test_who_has_only_learned_more_is_no_different_at_the_same_loss(tmp_path: Path) -> None:
    assert judged(tmp_path / "a", matched=None) == pytest.approx({0: 1.0, 1: 0.8})
    assert judged(tmp_path / "b") == pytest.approx({0: 0.0, 1: 0.0}, abs=1e-9)


def test_it_is_said_in_the_sentence(tmp_path: Path) -> None:
    assert Criterion.model_validate(LIKER).quantity == "likeness at equal loss"


@pytest.mark.parametrize("fields", [{"against": None}, {"when": [0, 1]}, {"beside": "skips"}])
def test_what_it_does_not_go_with(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="matched needs against"):
        Criterion.model_validate(LIKER | fields)
