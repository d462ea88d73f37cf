"""The ranking panel against brute force, scipy and enumeration of ties; degenerate input too."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from bench.ranking import correlation as c
from bench.ranking.panel import panel as panel_of


def brute_tau(x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> float:
    """τ-b by its definition, pair by pair."""
    w = np.ones(len(x)) if w is None else w
    concordant = untied_x = untied_y = 0.0
    for i, j in itertools.combinations(range(len(x)), 2):
        pair = w[i] * w[j]
        concordant += pair * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        untied_x += pair * (x[i] != x[j])
        untied_y += pair * (y[i] != y[j])
    return concordant / math.sqrt(untied_x * untied_y)


def sample(n: int, seed: int, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(90, 3, n)
    scores = truth + rng.normal(0, 3, n)
    return (scores.round(0), truth.round(0)) if ties else (scores, truth)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_tau_b_equals_its_definition(n: int, ties: bool) -> None:
    x, y = sample(n, n + 1, ties)
    assert c.tau_b(x, y) == pytest.approx(brute_tau(x, y))


def test_design_weighted_tau_equals_its_definition() -> None:
    x, y = sample(30, 1)
    w = np.random.default_rng(2).uniform(0.5, 20, 30)
    assert c.tau_b(x, y, w) == pytest.approx(brute_tau(x, y, w))
    assert c.tau_b(x, y, np.full(30, 7.5)) == pytest.approx(c.tau_b(x, y))
    assert c.tau_b(x, y, w * 1e9) == pytest.approx(c.tau_b(x, y, w))


def test_integer_weights_are_copies() -> None:
    x, y = sample(700, 3)  # more than one block of columns
    w = np.random.default_rng(4).integers(1, 4, 700)
    copies = np.repeat(np.arange(700), w)
    assert c.tau_b(x, y, w) == pytest.approx(c.tau_b(x[copies], y[copies]))


def test_a_stratified_sample_stands_for_its_population() -> None:
    x, y = sample(4000, 5, ties=False)
    whole = c.tau_b(x, y)
    rng = np.random.default_rng(6)
    best = c.top(y, 400)
    weighted, plain = [], []
    for _ in range(10):
        rest = rng.choice(np.flatnonzero(~best), 400, replace=False)
        chosen = np.concatenate([np.flatnonzero(best), rest])
        w = np.where(best[chosen], 1.0, 3600 / 400)
        weighted.append(c.tau_b(x[chosen], y[chosen], w) - whole)
        plain.append(c.tau_b(x[chosen], y[chosen]) - whole)
        # All of the top tenth is in the sample, so its τ is the population's exactly.
        assert c.top_tau(x[chosen], y[chosen], 400, w) == pytest.approx(c.top_tau(x, y, 400))
    assert abs(np.mean(weighted)) < 0.01 < 0.02 < abs(np.mean(plain))


def test_interval_equals_a_loop_over_resamples() -> None:
    x, y = sample(60, 7)
    interval = c.tau_interval(x, y, 400, 0)
    rng = np.random.default_rng(8)
    taus = []
    for _ in range(2000):
        drawn = rng.integers(60, size=60)
        taus.append(stats.kendalltau(x[drawn], y[drawn]).statistic)
    assert interval.estimate == pytest.approx(c.tau_b(x, y))
    low, high = np.quantile(taus, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.04)
    assert interval == c.tau_interval(x, y, 400, 0) != c.tau_interval(x, y, 400, 1)


def test_resamples_are_exact() -> None:
    x, y = sample(50, 9)
    counts = np.random.default_rng(10).multinomial(50, [1 / 50] * 50, size=20).astype(float)
    for row, tau in zip(counts, c._taus(x, y, counts), strict=True):
        copies = np.repeat(np.arange(50), row.astype(int))
        assert tau == pytest.approx(stats.kendalltau(x[copies], y[copies]).statistic)


def test_half_of_the_pairs_twice_is_all_of_them() -> None:
    """Whole weights take a shorter way, block by block; weights that are not whole do not."""
    x, y = sample(c.BLOCK + 90, 9)
    x = np.round(x, 1)  # ties
    rng = np.random.default_rng(10)
    counts = rng.multinomial(x.size, [1 / x.size] * x.size, size=5).astype(float)
    assert c._taus(x, y, counts) == pytest.approx(c._taus(x, y, counts / 3), abs=1e-12)


def test_interval_covers() -> None:
    rng = np.random.default_rng(11)
    rho, hits = 0.6, 0
    truth_tau = 2 / math.pi * math.asin(rho)  # of the bivariate normal
    for trial in range(150):
        z = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 100)
        hits += truth_tau in c.tau_interval(z[:, 0], z[:, 1], 200, trial)
    assert 0.88 <= hits / 150 <= 1


def test_strata_keep_their_size() -> None:
    strata = np.array([0] * 3 + [1] * 7)
    counts = c._draw(np.random.default_rng(0), 100, 10, strata)
    assert (counts[:, :3].sum(axis=1) == 3).all() and (counts[:, 3:].sum(axis=1) == 7).all()


def test_nested_interval_is_wider_when_seeds_disagree() -> None:
    y = np.random.default_rng(13).normal(size=80)
    rng = np.random.default_rng(14)
    rows = np.stack([y + rng.normal(0, noise, 80) for noise in (0.3, 0.5, 3.0, 8.0, 8.0)])
    nested = c.tau_interval(rows, y, 300, 0)
    assert nested.estimate == pytest.approx(np.mean([c.tau_b(row, y) for row in rows]))
    alone = [c.tau_interval(row, y, 300, 0) for row in rows]
    assert nested.high - nested.low > max(a.high - a.low for a in alone)
    same = np.stack([rows[0]] * 5)
    shared, own = (c.tau_interval(same, y, 300, 0, shared=s) for s in (True, False))
    assert shared.high - shared.low == pytest.approx(alone[0].high - alone[0].low, abs=0.02)
    assert own.high - own.low < 0.6 * (shared.high - shared.low)
    rows[2] = math.nan
    assert math.isnan(c.tau_interval(rows, y, 300, 0).estimate)


def test_top_takes_ties_at_the_boundary() -> None:
    assert c.top([3, 1, 2, 2, 0], 2).tolist() == [True, False, True, True, False]
    assert c.top([3, 1, 2], 1).sum() == 1 and c.top([3, 1, 2], 0.1).sum() == 1
    assert c.top([3, 1, 2], 9).all()
    assert c.top([3, 2, 1], 5, [4, 2, 9]).tolist() == [True, True, False]
    x, y = sample(200, 15, ties=False)
    best = np.argsort(-y)[:20]
    assert c.top_tau(x, y, 20) == pytest.approx(brute_tau(x[best], y[best]))


def test_sparse_weighted_spearman_and_partial() -> None:
    x, y = sample(40, 16, ties=False)
    z = np.random.default_rng(17).integers(0, 5, 40)
    assert c.sparse_tau(x, y) == pytest.approx(brute_tau(x, np.rint(y * 10)))
    assert c.spearman(x, y) == pytest.approx(
        np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]
    )
    xy, xz, yz = brute_tau(x, y), brute_tau(x, z), brute_tau(y, z)
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert c.partial_tau(x, y, z) == pytest.approx(expected)
    assert math.isnan(c.partial_tau(x, y, x)) and math.isnan(c.partial_tau(x, y, np.ones(40)))


def test_weighted_tau_equals_its_definition() -> None:
    x, y = sample(25, 18, ties=False)

    def by(order: np.ndarray) -> float:
        rank = np.empty(25)
        rank[np.argsort(-order)] = np.arange(25)
        top = bottom = 0.0
        for i, j in itertools.combinations(range(25), 2):
            w = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
            top += w * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
            bottom += w
        return top / bottom

    assert c.weighted_tau(x, y) == pytest.approx((by(x) + by(y)) / 2)


def orders(values: np.ndarray) -> list[tuple[int, ...]]:
    """All descending orders that agree with the values, ties in every way."""
    return [
        order
        for order in itertools.permutations(range(len(values)))
        if all(values[a] >= values[b] for a, b in itertools.pairwise(order))
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_precision_and_best_rank_average_over_ties(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 3, 6).astype(float), rng.integers(0, 4, 6).astype(float)
    by_x, by_y = orders(x), orders(y)
    precision = np.mean([len(set(a[:k]) & set(b[:k])) / k for a in by_x for b in by_y])
    rank = [1 + int((y > value).sum()) for value in y]
    best = np.mean([min(rank[i] for i in a[:k]) for a in by_x])
    assert c.precision_at(x, y, k) == pytest.approx(precision)
    assert c.best_rank_at(x, y, k) == pytest.approx(best)


def test_regret_of_the_favourite() -> None:
    assert c.regret([1, 3, 2], [90.0, 91.5, 94.0]) == 2.5
    assert c.regret([3, 3, 2], [90.0, 91.0, 94.0]) == 3.5  # tied favourites: their mean
    assert c.regret([1, 3, 2], [90.0, 91.5, 94.0], best=94.37) == pytest.approx(2.87)


def test_noise_ceiling_is_the_mean_over_pairs_of_seeds() -> None:
    y = np.random.default_rng(19).normal(size=(50, 1)) + np.random.default_rng(20).normal(
        0, 0.3, (50, 3)
    )
    y[:5, 2] = math.nan  # missing trials: compared where both are
    expected = [
        brute_tau(y[:, 0], y[:, 1]),
        brute_tau(y[5:, 0], y[5:, 2]),
        brute_tau(y[5:, 1], y[5:, 2]),
    ]
    assert c.noise_ceiling(y) == pytest.approx(np.mean(expected))
    assert math.isnan(c.noise_ceiling(y[:, :1])) and math.isnan(c.noise_ceiling([]))


DEGENERATE = {
    "none": ([], [], "only 0 architectures"),
    "one": ([1.0], [2.0], "only 1 architecture"),
    "constant scores": ([1.0] * 5, [1.0, 2, 3, 4, 5], "all scores are equal"),
    "constant truth": ([1.0, 2, 3, 4, 5], [1.0] * 5, "all truth are equal"),
    "nan score": ([1.0, math.nan, 3], [1.0, 2, 3], "1 of 3 scores are NaN"),
    "nan truth": ([1.0, 2, 3], [math.nan, math.nan, 3], "2 of 3 truth are NaN"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("weighted", [False, True])
def test_degenerate_input_is_nan_with_a_reason(case: str, weighted: bool) -> None:
    x, y, reason = DEGENERATE[case]
    assert c.why_undefined(x, y) == reason
    weights = [2.0] * len(x) if weighted else None
    panel = panel_of(x, y, [1.0, 2, 3, 4, 5][: len(x)], seed=0, weights=weights)
    assert all(math.isnan(value) for value in panel.tau)
    measured = {k: v for k, v in panel.values.items() if k != "tau_parameters"}
    assert all(math.isnan(value) for value in measured.values())
    assert panel.reasons["tau"] == panel.reasons["regret"] == reason
    assert set(measured) <= set(panel.reasons)


def test_two_architectures_and_infinite_scores_are_defined() -> None:
    assert c.tau_b([1, 2], [3, 4]) == 1 and c.tau_b([2, 1], [3, 4]) == -1
    assert c.tau_b([-math.inf, 1, 2], [1, 2, 3]) == pytest.approx(1)
    interval = c.tau_interval([1, 2], [3, 4], 100, 0)
    assert interval.estimate == 1 and math.isnan(interval.low)


def test_lengths_that_differ_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="3 for 2"):
        c.tau_b([1, 2, 3], [1, 2])


def test_panel_holds_each_measure() -> None:
    x, y = sample(300, 21, ties=False)
    parameters = np.random.default_rng(22).integers(0, 54, 300)
    by_seed = y[:, None] + np.random.default_rng(23).normal(0, 1, (300, 2))
    panel = panel_of(x, y, parameters, seed=0, truth_by_seed=by_seed, best=99.0, resamples=50)
    flat = panel.flat()
    assert panel.reasons == {} and flat["reasons"] == "" and flat["n"] == 300
    assert flat["tau"] == c.tau_b(x, y) and flat["tau_low"] < flat["tau"] < flat["tau_high"]
    assert flat["tau_parameters"] == c.tau_b(parameters, y)
    assert flat["noise_ceiling"] == c.noise_ceiling(by_seed)
    assert flat["tau_top10pct"] == c.top_tau(x, y, 30)
    assert flat["tau_top100"] == c.top_tau(x, y, 100)
    assert flat["tau_partial"] == c.partial_tau(x, y, parameters)
    assert flat["precision_at_10"] == c.precision_at(x, y, 10)
    assert flat["best_rank_at_100"] == c.best_rank_at(x, y, 100)
    assert flat["regret"] == c.regret(x, y, 99.0)
    assert all(not isinstance(value, (dict, list, tuple)) for value in flat.values())


def test_panel_says_what_it_cannot_measure() -> None:
    x, y = sample(50, 24, ties=False)
    reasons = panel_of(x, y, seed=0).reasons
    assert reasons["tau_parameters"] == reasons["tau_partial"] == "no parameter counts given"
    assert reasons["tau_top100"].startswith("the population has 50 architectures")
    assert reasons["precision_at_100"] == "k exceeds N = 50"
    assert "noise_ceiling" in reasons and "tau" not in reasons
    weighted = panel_of(x, y, seed=0, weights=np.linspace(1, 9, 50))
    assert weighted.design_weighted
    assert weighted.reasons["spearman"] == "not defined under design weights"
    assert weighted.tau.estimate == c.tau_b(x, y, np.linspace(1, 9, 50))
