"""The sequential test: its exact values, its intervals, and how often it errs under optional stopping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from bench.decision.sequential import (
    Question,
    decide,
    evidence,
    fewest,
    median_interval,
    more,
    needed_above,
)
from bench.statistics import seeds_needed


@pytest.mark.parametrize(("above", "below"), [(0, 0), (1, 0), (6, 0), (5, 2), (3, 3), (20, 11)])
def test_evidence_is_the_beta_integral(above: int, below: int) -> None:
    """∫ (1+f)^a (1−f)^b over a Beta(¼, ¼) on [−1, 1], in closed form."""
    n = above + below
    exact = 2.0**n * special.beta(above + 0.25, below + 0.25) / special.beta(0.25, 0.25)
    assert evidence(above, below) == pytest.approx(exact, rel=0.02)
    assert evidence(above, below) == evidence(below, above)


def test_evidence_is_on_average_one_whatever_came_before() -> None:
    """A fair game: the mean over the next pair is what one has, so looking costs nothing."""
    for above in range(12):
        for below in range(12):
            following = (evidence(above + 1, below) + evidence(above, below + 1)) / 2
            assert following == pytest.approx(evidence(above, below), rel=1e-12)


@pytest.mark.parametrize("value", [-0.6, 0.0, 0.35])
def test_bets_on_the_excess_are_fair_where_it_is_the_value(value: float) -> None:
    """The mean of the fortune over all outcomes of 4 pairs is 1 at the true excess."""
    from bench.decision.sequential import GRID, _logs

    at = int(np.argmin(np.abs(GRID - value)))
    true = GRID[at]
    p = np.array([0.1 + max(true, 0), 0.0, 0.1 + max(-true, 0)])
    p[1] = 1 - p.sum()
    mean = 0.0
    for a in range(5):
        for b in range(5 - a):
            z = 4 - a - b
            weight = stats.multinomial(4, p).pmf([a, z, b])
            for logs in _logs():
                mean += weight * np.exp(np.tensordot([a, z, b], logs[:, at], 1)).mean() / 2
    assert mean == pytest.approx(1, abs=1e-9)


def test_six_that_agree_decide_as_in_the_fixed_test() -> None:
    assert fewest() == seeds_needed() == 6
    assert decide([-1.0] * 5, Question()).kind == "undecided"
    found = decide([-1.0] * 6, Question())
    assert (found.kind, found.at, found.pairs) == ("lower", 6, 6) and found.p <= 0.05


def test_ties_do_not_eat_the_evidence_but_count_in_the_rate() -> None:
    with_ties = decide([0.0] * 20 + [1.0] * 6, Question(binary=True))
    assert with_ties.kind == "higher" and with_ties.evidence == evidence(6, 0)
    assert with_ties.effect.estimate == pytest.approx(6 / 26) and with_ties.effect.low > 0


def test_nothing_of_interest_is_decided_only_where_it_was_said_what_is() -> None:
    nothing = [0.0] * 40
    assert decide(nothing, Question(binary=True)).kind == "undecided"
    found = decide(nothing, Question(binary=True, smallest=0.3))
    assert found.kind == "equivalent" and found.at is not None and found.at < 20
    small = [0.1, -0.2, 0.05, 0.1, -0.1, 0.2, 0.1]
    assert decide(small, Question(smallest=0.5)).kind == "equivalent"
    assert decide(small, Question(smallest=0.15)).kind == "undecided"


def test_a_decision_stays() -> None:
    found = decide([1.0] * 6 + [-1.0] * 6, Question())
    assert (found.kind, found.at, found.pairs) == ("higher", 6, 12)


def test_the_median_bounds_are_order_statistics() -> None:
    d = np.arange(1.0, 21.0)
    found = median_interval(d)
    k = needed_above(20)
    assert (found.low, found.high) == (d[20 - k], d[k - 1])
    assert median_interval(d[:5]).low == -math.inf
    assert median_interval([1, 2, 3, 4, 5, math.inf]).high == math.inf


def test_needed_above_is_where_the_one_sided_fortune_reaches_forty() -> None:
    n, k = 15, needed_above(15)

    def fortune(wins: int) -> float:
        def density(f: float) -> float:
            return float(stats.beta(0.25, 0.25).pdf((1 + f) / 2))

        return float(
            integrate.quad(
                lambda f: (1 + f) ** wins * (1 - f) ** (n - wins) * density(f), 0, 1, limit=200
            )[0]
        )

    assert fortune(k) >= 40 * 0.97 > fortune(k - 1)


def test_more_says_when_it_would_be_decided() -> None:
    assert more([], Question()) == 6
    assert more([1.0] * 6, Question()) == 0
    few = more([1.0] * 4, Question())
    assert few == 2
    some = more([1.0, 1.0, -1.0, 1.0], Question())
    assert some is not None and 10 < some < 80
    assert more([1.0, -1.0], Question()) is None
    assert more([0.0] * 3, Question(binary=True, smallest=0.3)) in range(7, 15)


@pytest.mark.parametrize("ties", [0.0, 0.6])
def test_null_campaigns_err_in_at_most_five_percent(ties: float) -> None:
    """With a look after every pair up to 100; a fixed test looked at as often errs in a third."""
    rng = np.random.default_rng(1)
    d = rng.choice([-1, 0, 1], p=[(1 - ties) / 2, ties, (1 - ties) / 2], size=(2000, 100))
    above, below = (d > 0).cumsum(axis=1), (d < 0).cumsum(axis=1)
    decided = np.vectorize(evidence)(above, below) >= 20
    assert decided.any(axis=1).mean() <= 0.05
    p = 2 * stats.binom.cdf(np.minimum(above, below), above + below, 0.5)
    assert (p <= 0.05).any(axis=1).mean() > 0.1


def test_the_confidence_sequence_covers_at_all_looks() -> None:
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(300):
        d = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.5, 0.4], size=60)
        found = decide(d.tolist(), Question(binary=True))
        missed += not found.effect.low <= 0.3 <= found.effect.high
    assert missed / 300 <= 0.05
