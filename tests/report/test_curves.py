"""Numbers of the page's figures: what is written is read back, thinned and gathered as it says."""

import math

import numpy as np
import pytest

from bench.report.curves import (
    BANDS,
    FEWER_POINTS,
    LEVELS,
    MANY,
    MISSING,
    POINTS,
    Chart,
    Curve,
    decode,
    encode,
    panel,
    points,
    thinned,
)


def test_values_come_back_to_a_part_in_4095():
    values = np.random.default_rng(0).normal(size=500) * 1e3
    values[::7] = math.nan
    back = decode(encode(values, -4e3, 4e3), -4e3, 4e3)
    assert np.array_equal(np.isnan(values), np.isnan(back))
    assert np.nanmax(np.abs(values - back)) <= 8e3 / LEVELS / 2 * 1.001
    assert encode(np.array([math.inf, -math.inf, math.nan]), 0, 1) == 3 * MISSING


@pytest.mark.parametrize("extreme", [1e308, -1e308, 5e-324, 0.0])
def test_extreme_values_have_a_place(extreme):
    run = (np.arange(3.0), np.array([extreme, -extreme, 0.0]))
    made = panel([Curve("#000", [run])])
    assert math.isfinite(made.low) and math.isfinite(made.high) and made.low < made.high
    assert MISSING not in made.lines[0]["y"]


def test_epochs_are_thinned_and_the_ends_stay():
    assert thinned(range(1, 6), 60).tolist() == [1, 2, 3, 4, 5]
    found = thinned(range(1, 601), 60)
    assert len(found) == 60 and found[0] == 1 and found[-1] == 600


def runs(number, epochs=100):
    rng = np.random.default_rng(number)
    return [(np.arange(1.0, epochs + 1), rng.normal(size=epochs)) for _ in range(number)]


def test_few_runs_are_lines_and_their_mean():
    curve = Curve("#000", runs(3), 0)
    made = panel([curve])
    assert len(made.x) == POINTS and len(made.lines[0]["s"]) == 3
    at = [int(x) - 1 for x in made.x]
    mean = np.mean([y for _, y in curve.runs], axis=0)[at]
    assert np.abs(decode(made.lines[0]["y"], made.low, made.high) - mean).max() < 0.01


def test_many_runs_are_a_mean_and_a_band_and_more_variants_a_mean():
    made = panel([Curve("#000", runs(MANY + 1), 0)])
    assert len(made.x) == FEWER_POINTS and "s" not in made.lines[0]
    low, high = (decode(text, made.low, made.high) for text in made.lines[0]["b"])
    at = [int(x) - 1 for x in made.x]
    every = np.array([y for _, y in runs(MANY + 1)])[:, at]
    assert np.abs(low - np.quantile(every, 0.25, axis=0)).max() < 0.01
    assert np.abs(high - np.quantile(every, 0.75, axis=0)).max() < 0.01
    several = panel([Curve("#000", runs(20), i) for i in range(BANDS + 1)])
    assert all("b" not in line and "s" not in line for line in several.lines)


def test_a_seed_that_ended_leaves_the_mean_of_those_still_running():
    whole, short = (np.arange(1.0, 5), np.full(4, 2.0)), (np.arange(1.0, 3), np.zeros(2))
    made = panel([Curve("#000", [whole, short])])
    assert np.abs(decode(made.lines[0]["y"], made.low, made.high) - [1, 1, 2, 2]).max() < 0.01


def test_points_are_thinned():
    x = np.arange(1000.0)
    made = points([(x, x), (x, -x)], "#000", 100)
    assert sum(len(line["px"]) // 2 for line in made.lines) == 100


def test_a_figure_s_name_is_fit_for_files_and_ids():
    with pytest.raises(ValueError, match="no name for a figure"):
        Chart('x"><script>', "t", [])
