"""Intervals, tests and effect sizes against brute force, closed forms and scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from bench import statistics as st


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 5), (3, 7), (5, 5), (40, 100)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_equals_scipy(k: int, n: int, level: float) -> None:
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert tuple(st.wilson(k, n, level)) == pytest.approx((k / n, expected.low, expected.high))


def test_wilson_without_trials_knows_nothing() -> None:
    interval = st.wilson(0, 0)
    assert math.isnan(interval.estimate) and (interval.low, interval.high) == (0, 1)
    with pytest.raises(ValueError, match="3 of 2"):
        st.wilson(3, 2)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11, 100])
def test_iqm_is_the_quarter_trimmed_mean(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    assert st.iqm(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert st.iqm(values[:2], values[2:]) == pytest.approx(st.iqm(values))


def test_iqm_of_nothing_or_of_a_failed_run_is_nan() -> None:
    assert math.isnan(st.iqm([])) and math.isnan(st.iqm([1, 2, 3, 4, math.nan]))


def test_probability_of_improvement_counts_ties_half() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 13), rng.integers(1, 6, 9)
    pairs = [(a > b) + 0.5 * (a == b) for a in x for b in y]
    assert st.probability_of_improvement(x, y) == pytest.approx(np.mean(pairs))
    u = stats.mannwhitneyu(x, y).statistic / (x.size * y.size)
    assert st.probability_of_improvement(x, y) == pytest.approx(u)
    delta = np.mean([np.sign(a - b) for a in x for b in y])
    assert st.cliffs_delta(x, y) == pytest.approx(delta)
    assert st.probability_of_improvement([1, 1], [1, 1]) == 0.5
    assert math.isnan(st.probability_of_improvement([1, math.nan], [1]))
    assert math.isnan(st.probability_of_improvement([1], [math.nan, 2]))
    assert math.isnan(st.probability_of_improvement([], [1]))


def test_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(3, 2, 40)
    ours = st.stratified_bootstrap([values], np.mean, seed=0, resamples=4000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=0)
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.06)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.06)


def test_bootstrap_keeps_the_strata_apart() -> None:
    # Each stratum is constant: resampling within it changes nothing, pooling would.
    interval = st.stratified_bootstrap([[0.0] * 5, [1.0] * 5], st.iqm, seed=0, resamples=200)
    assert tuple(interval) == (0.5, 0.5, 0.5)


def test_bootstrap_depends_on_its_seed_alone() -> None:
    x, y = [1, 2, 3, 4, 5], [2, 2, 3, 1, 0]
    first, again, other = (
        st.stratified_bootstrap([x, y], st.probability_of_improvement, seed=s, resamples=300)
        for s in (1, 1, 2)
    )
    assert first == again
    assert first.estimate == other.estimate
    assert first != other


def test_bootstrap_of_bimodal_outcomes_covers() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(120):
        sample = np.where(rng.random(30) < 0.4, 54.3, 93.0)
        truth = 0.4 * 54.3 + 0.6 * 93.0
        hits += truth in st.stratified_bootstrap([sample], np.mean, seed=trial, resamples=200)
    assert 0.87 <= hits / 120 <= 1.0


def test_undefined_resamples_make_the_bounds_undefined() -> None:
    assert tuple(st.percentile_interval(1.0, [1.0] * 96 + [math.nan] * 4)) == (1, 1, 1)
    assert math.isnan(st.percentile_interval(1.0, [1.0] * 9 + [math.nan]).low)
    assert math.isnan(st.stratified_bootstrap([[], [1.0]], seed=0).estimate)
    assert math.isnan(st.stratified_bootstrap([[1.0, math.nan]], seed=0).low)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_sign_flip_equals_enumeration_and_scipy(n: int, alternative: st.Alternative) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n).round(1)  # rounded: ties and zeros
    sums = [float(np.dot(signs, d)) for signs in itertools.product([1, -1], repeat=n)]
    measure = {"two-sided": abs, "greater": lambda s: s, "less": lambda s: -s}[alternative]
    brute = np.mean([measure(s) >= measure(d.sum()) - 1e-9 for s in sums])
    assert st.paired_sign_flip(d, seed=0, alternative=alternative).p == pytest.approx(brute)
    if n > 1:
        theirs = stats.permutation_test(
            (d,), np.sum, permutation_type="samples", alternative=alternative, n_resamples=np.inf
        )
        # scipy doubles the smaller tail; by symmetry that is the same here.
        assert brute == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize(("n", "floor"), [(5, 0.0625), (8, 0.0078125)])
def test_sign_flip_has_a_floor(n: int, floor: float) -> None:
    test = st.paired_sign_flip(np.arange(1, n + 1), seed=0)
    assert test == st.SignFlip(p=floor, floor=floor, n=n, exact=True)


def test_zero_differences_raise_the_floor() -> None:
    test = st.paired_sign_flip([0.0, 0.0, 1.0, 2.0, 3.0], seed=0)
    assert test.p == test.floor == 0.25
    assert st.paired_sign_flip([0.0, 0.0], seed=0).p == 1.0


def test_sign_flip_by_monte_carlo_agrees_with_the_exact_one() -> None:
    d = np.random.default_rng(4).normal(0.4, 1, 14)
    exact = st.paired_sign_flip(d, seed=0)
    drawn = st.paired_sign_flip(d, seed=0, exact_up_to=10, resamples=50_000)
    assert exact.exact and not drawn.exact
    assert drawn.p == pytest.approx(exact.p, abs=0.01)
    assert drawn == st.paired_sign_flip(d, seed=0, exact_up_to=10, resamples=50_000)
    certain = st.paired_sign_flip(np.ones(40), seed=0, resamples=999)
    assert certain.p == certain.floor == pytest.approx(1 / 1000)


@pytest.mark.parametrize("d", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_sign_flip_of_a_failed_run_is_nan(d: list[float]) -> None:
    assert math.isnan(st.paired_sign_flip(d, seed=0).p)


def test_holm_equals_its_definition() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9])
    order = np.argsort(p)
    expected = np.empty(5)
    for rank, i in enumerate(order):
        expected[i] = min(1, max((5 - r) * p[order[r]] for r in range(rank + 1)))
    assert st.holm(p) == pytest.approx(expected)
    # The worked example of Holm's method in R's documentation of p.adjust.
    assert st.holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])


def test_holm_counts_a_failed_comparison() -> None:
    adjusted = st.holm([0.01, math.nan])
    assert adjusted[0] == pytest.approx(0.02) and math.isnan(adjusted[1])
    assert st.holm([]).size == 0


@pytest.mark.parametrize(("tests", "n"), [(1, 6), (2, 7), (10, 9), (20, 10)])
def test_seeds_needed_is_where_the_floor_passes(tests: int, n: int) -> None:
    assert st.seeds_needed(tests) == n
    assert st.too_few_seeds(n, tests) is None
    for seeds, passes in ((n, True), (n - 1, False)):
        p = st.paired_sign_flip(np.arange(1, seeds + 1), seed=0).p
        assert (st.holm([p] + [1.0] * (tests - 1))[0] <= 0.05) is np.bool_(passes)


def test_too_few_seeds_says_how_many_are_needed() -> None:
    message = st.too_few_seeds(5, tests=10)
    assert message is not None and "9 seeds are needed" in message and "0.62" in message
    with pytest.raises(ValueError, match="tests >= 1"):
        st.seeds_needed(0)


def test_students_interval_against_scipys() -> None:
    x = np.random.default_rng(5).normal(3.0, 2.0, size=9)
    low, high = stats.t.interval(0.95, 8, loc=x.mean(), scale=stats.sem(x))
    assert tuple(st.student([*x, math.nan])) == pytest.approx((x.mean(), low, high))
    assert st.student_half_width([x, x + 1]) == pytest.approx([(high - low) / 2] * 2)
    alone = st.student([7.0])
    assert alone.estimate == 7.0 and math.isnan(alone.low) and math.isnan(st.student([]).estimate)


def test_paired_difference_resamples_pairs() -> None:
    x = np.array([54.3, 90.0, 91.0, 93.0])
    interval = st.paired_difference(x + 1.5, x, seed=0, resamples=200)
    assert tuple(interval) == pytest.approx((1.5, 1.5, 1.5))
    assert interval.excludes(0) and not interval.excludes(1.5 + 0.0)
    assert math.isnan(st.paired_difference([1.0, math.nan], [1.0, 2.0], seed=0).estimate)
    with pytest.raises(ValueError, match="2 and 1"):
        st.paired_difference([1, 2], [1], seed=0)


@pytest.mark.parametrize("statistic", [st.iqm, st.mean])
@pytest.mark.parametrize("size", [1, 3, 4, 7, 20, 33, 200])
def test_resamples_at_once_are_those_one_by_one(statistic, size):
    sample = np.random.default_rng(size).normal(size=size)
    at_once = st.stratified_bootstrap([sample], statistic, seed=3, resamples=200)
    slowly = st.stratified_bootstrap(
        [sample], lambda values: statistic(values), seed=3, resamples=200
    )
    assert at_once == slowly  # to the bit
