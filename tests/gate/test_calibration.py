"""The statistical layer errs as rarely as it says and sees what it says: by simulation."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bench.gate import baseline, calibration
from bench.gate.searches import METRICS
from bench.gate.seedbank import (
    BANK,
    CONFIRMING,
    FALSE_ALARMS,
    FRESH,
    SUSPECTS,
    by_chance,
    choose_k,
    judge,
    null_probability,
)
from tests.gate.builders import bank

RECORDED = Path(__file__).parents[2] / baseline.FOLDER
REPLAYS = 2000
MARGINS = [margin for *_, margin in METRICS.values()]


def matrices() -> list[object]:
    """Return banks to calibrate on: a normal, a bimodal and tied one, and the recorded one."""
    rng = np.random.default_rng(1)
    bimodal = np.where(
        rng.random((BANK, len(METRICS))) < 0.3, 54.3, 90 + rng.normal(size=(BANK, len(METRICS)))
    )
    found = [
        pytest.param(np.array(list(bank().values())).T, id="normal"),
        pytest.param(bimodal, id="bimodal"),
    ]
    there = (RECORDED / baseline.FILE).exists()
    skip = pytest.mark.skip(reason="NO BASELINE RECORDED: results/baselines/gate.json is missing")
    recorded = baseline.read(RECORDED).matrix if there else None
    return [*found, pytest.param(recorded, id="recorded", marks=[] if there else [skip])]


def test_the_null_probability_is_that_of_all_orders() -> None:
    n, m, k = 6, 2, 2
    hits = 0
    orders = list(combinations(range(n + m), m))  # which ranks the new ones take
    for new in orders:
        old = sorted(set(range(n + m)) - set(new))
        hits += all(rank < old[k - 1] for rank in new)
    assert null_probability(n, m, k) == pytest.approx(hits / len(orders))
    assert null_probability(20, 3, 2) == pytest.approx(0.0023, abs=5e-5)
    assert null_probability(20, 3, 3) == pytest.approx(0.0056, abs=5e-5)


def test_k_is_the_largest_that_holds_both_limits() -> None:
    for metrics in (1, 2, 6, 20):
        k = choose_k(metrics)
        assert by_chance(metrics, k)[0] <= SUSPECTS and by_chance(metrics, k)[1] <= FALSE_ALARMS
        more = by_chance(metrics, k + 1)
        assert more[0] > SUSPECTS or more[1] > FALSE_ALARMS
    assert by_chance(1, 3)[1] == pytest.approx(null_probability(20, 8, 3))
    with pytest.raises(ValueError, match="too small"):
        choose_k(4, n=5)


@pytest.mark.parametrize("values", matrices())
def test_false_alarms_are_at_most_one_in_a_hundred(values: np.ndarray) -> None:
    rates = calibration.replay(values, MARGINS, replays=REPLAYS)
    # Three standard errors of the simulation on top of the stated limit.
    slack = 3 * math.sqrt(SUSPECTS * (1 - SUSPECTS) / REPLAYS)
    assert rates.replays >= 200
    assert rates.suspect <= SUSPECTS + slack
    assert rates.red <= FALSE_ALARMS


@pytest.mark.parametrize("values", matrices())
def test_the_recorded_bank_does_not_alarm_again_and_again(values: np.ndarray) -> None:
    """Between two baselines the bank stays: its own luck must not turn every check red."""
    rates = calibration.replay(values, MARGINS, replays=REPLAYS, fixed_bank=True)
    assert rates.red <= FALSE_ALARMS


@pytest.mark.parametrize("values", matrices())
def test_the_stated_drop_is_seen_in_ninety_of_a_hundred(values: np.ndarray) -> None:
    for i, margin in enumerate(MARGINS):
        size = calibration.detectable(values, MARGINS, i, replays=500)
        assert size > margin or values[:, i].std() < margin
        drop = np.zeros(len(MARGINS))
        drop[i] = size
        # Other random numbers than those that the drop was found with.
        rates = calibration.replay(values, MARGINS, drop=drop.tolist(), replays=500, seed=1)
        assert rates.red >= 0.9 - 3 * math.sqrt(0.9 * 0.1 / 500)


def test_recorded_drops_are_those_of_the_bank() -> None:
    if not (RECORDED / baseline.FILE).exists():
        pytest.skip("NO BASELINE RECORDED: results/baselines/gate.json is missing")
    found = baseline.read(RECORDED)
    assert len(found.reason) > 10 and found.k == choose_k(len(METRICS))
    for i, (name, size) in enumerate(found.detectable.items()):
        again = calibration.detectable(found.matrix, list(found.margins.values()), i, replays=500)
        assert size == pytest.approx(again, rel=0.15), name


def test_what_is_judged() -> None:
    recorded = list(range(20))
    low, high = [-1.0] * FRESH, [5.0] * FRESH

    def status(fresh: list[float], more: list[float], margin: float = 1.0) -> str:
        return judge("tau", recorded, fresh, more, 2, margin).status

    assert status(high, []) == "ok"
    assert status([1.0, -1.0, -1.0], []) == "ok", "ties are not below"
    assert status(low, []) == "suspect"
    assert status(low, [-1.0] * CONFIRMING) == "regressed"
    assert status(low, [-1.0] * (CONFIRMING - 1) + [9.0]) == "cleared"
    assert status(low, [-1.0] * CONFIRMING, margin=20.0) == "cleared", "too small to matter"
    assert status([math.nan] * FRESH, [math.nan] * CONFIRMING) == "regressed"
    with pytest.raises(ValueError, match="bank of tau"):
        judge("tau", [math.nan, *recorded], low, [], 2, 1.0)
