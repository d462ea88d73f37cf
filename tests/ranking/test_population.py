"""Populations have the sizes and the weights that they say."""

import numpy as np
import pytest

from bench.contracts import registry
from bench.contracts.truth import Truth
from bench.ranking.correlation import tau_b
from bench.ranking.population import Population
from bench.search.settings import Settings

SPACE = registry.parse("spaces", "nb201")


def test_sizes():
    assert len(Population(size=None).draw(SPACE).cells) == 6466
    assert len(Population(kind="all", size=None).draw(SPACE).cells) == 15625
    connected = Population(kind="all", size=None, disconnected=False).draw(SPACE)
    assert len(connected.cells) == 15625 - 341
    drawn = Population(size=50).draw(SPACE).cells
    assert len({SPACE.canonical(cell) for cell in drawn}) == 50
    assert drawn == Population(size=50).draw(SPACE).cells
    assert drawn != Population(size=50, seed=1).draw(SPACE).cells


def test_a_stratified_draw_stands_for_the_population():
    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 10, size=6466)
    sample = Population(kind="stratified", size=900).draw(SPACE, truth)
    assert len(sample.cells) == 9 * 90 + 646
    assert sample.weights.sum() == pytest.approx(6466)
    row = {cell: i for i, cell in enumerate(SPACE.unique())}
    drawn = truth[[row[cell] for cell in sample.cells]]
    assert np.sort(truth)[-600:].min() >= np.sort(truth)[-646]
    assert set(np.sort(truth)[-646:]) <= set(drawn)  # all of the top tenth
    scores = truth + rng.normal(0, 15, size=6466)
    whole = tau_b(scores, truth)
    rows = [row[cell] for cell in sample.cells]
    assert tau_b(scores[rows], truth[rows], sample.weights) == pytest.approx(whole, abs=0.03)
    assert abs(tau_b(scores[rows], truth[rows]) - whole) > 0.03  # the weights are needed


def test_the_top_tenth_alone():
    truth = np.arange(6466.0)
    cells = Population(kind="top", size=None).draw(SPACE, truth).cells
    assert cells == list(SPACE.unique())[-len(cells) :] and 640 < len(cells) < 650


def test_a_users_list(tmp_path):
    path = tmp_path / "cells.txt"
    names = [SPACE.encode(cell) for cell in SPACE.unique()[5:8]]
    path.write_text("# mine\n\n" + "\n".join(names))
    drawn = Population(kind="list", file=str(path)).draw(SPACE)
    assert [SPACE.encode(cell) for cell in drawn.cells] == names
    path.write_text("\n".join([*names, "nonsense"]))
    with pytest.raises(ValueError, match=r"cells.txt:4: "):
        Population(kind="list", file=str(path)).draw(SPACE)
    path.write_text("\n".join([*names, names[0]]))
    with pytest.raises(ValueError, match="the cell of line 1 again"):
        Population(kind="list", file=str(path)).draw(SPACE)


@pytest.mark.parametrize("wrong", [{"kind": "list"}, {"kind": "unique", "file": "x"}])
def test_kind_and_file_belong_together(wrong):
    with pytest.raises(ValueError, match="belong together"):
        Population(**wrong)


def test_what_needs_truth_says_so():
    with pytest.raises(ValueError, match="needs ground truth"):
        Population(kind="stratified").draw(SPACE)


def table(path, known):
    """Write a truth of so many cells."""
    space = registry.parse("spaces", "nb201")
    cells = [space.encode(cell) for cell in space.unique()[:: 6466 // known][:known]]
    rows = "".join(f"{cell},{50 + i % 40}\n" for i, cell in enumerate(cells))
    path.write_text("arch,cifar10_test_200\n" + rows)
    return path


@pytest.mark.parametrize("kind", ["top", "stratified"])
@pytest.mark.parametrize("known", [3, 19, 20, 30])
def test_too_few_known_cells_are_said_before_a_search_begins(tmp_path, kind, known):
    path = table(tmp_path / "t.csv", known)
    settings = Settings.model_validate(
        {
            "space": "nb201",
            "data": "digits",
            "truth": {"name": "table", "path": path},
            "ranking": {"population": {"kind": kind, "size": 20}},
        }
    )
    if known < 20:
        with pytest.raises(ValueError, match=rf"population: {kind} needs at least 20 .* {known}$"):
            settings.load_truth()
        return
    truth = settings.load_truth()
    sample = settings.ranking.population.drawn(settings.space, truth)
    assert len(sample.cells) >= 2


def test_the_top_tenth_may_be_drawn_like_the_others():
    truth = np.random.default_rng(1).normal(size=6466)
    sample = Population(kind="stratified", size=200, top_tenth="share").draw(SPACE, truth)
    assert np.bincount(sample.strata).tolist() == [20] * 10
    assert sample.weights.sum() == pytest.approx(6466)
    larger = Population(kind="stratified", size=400, top_tenth="share").draw(SPACE, truth)
    assert set(sample.cells) < set(larger.cells)  # a larger sample goes on with the same draw


def test_known_cells_are_those_with_a_truth():
    truth = np.full(6466, np.nan)
    truth[::100] = 50.0
    everything = Population(kind="known", size=None).draw(SPACE, truth).cells
    assert everything == list(SPACE.unique())[::100]
    some = Population(kind="known", size=20).draw(SPACE, truth).cells
    assert len(some) == 20 and set(some) < set(everything)


def sample_of(cells, truth, weight):
    """A truth that is a weighted sample of the space."""
    names = [SPACE.encode(cell) for cell in cells]
    accuracy = {name: np.array([value]) for name, value in zip(names, truth, strict=True)}
    return Truth(accuracy, "d", 1, "test", "", "", weight=dict(zip(names, weight, strict=True)))


def test_a_draw_from_a_weighted_sample_stands_for_the_space():
    """Of a sample with few bad cells, each of which stands for many."""
    rng = np.random.default_rng(0)
    worth = rng.gamma(2, 10, size=6466)
    bad = np.flatnonzero(worth < np.median(worth))
    good = np.flatnonzero(worth >= np.median(worth))
    rows = np.sort([*rng.choice(bad, 300, replace=False), *rng.choice(good, 2700, replace=False)])
    weight = np.where(worth[rows] < np.median(worth), len(bad) / 300, len(good) / 2700)
    truth = sample_of([SPACE.unique()[i] for i in rows], worth[rows], weight)
    sample = Population(kind="stratified", size=900).drawn(SPACE, truth)
    assert sample.weights.sum() == pytest.approx(6466)
    row = {cell: i for i, cell in enumerate(SPACE.unique())}
    drawn = [row[cell] for cell in sample.cells]
    assert np.average(worth[drawn], weights=sample.weights) == pytest.approx(worth.mean(), rel=0.02)
    best = [i for i, stratum in zip(drawn, sample.strata, strict=True) if stratum == 9]
    assert min(worth[best]) == pytest.approx(np.quantile(worth, 0.9), rel=0.02)
    top = Population(kind="top", size=None).drawn(SPACE, truth)
    assert {row[cell] for cell in top.cells} == set(best)


def test_cells_that_stand_for_none_are_not_drawn():
    cells, weight = SPACE.unique()[:60], [1.0] * 59 + [0.0]
    truth = sample_of(cells, np.arange(60.0), weight)
    for kind in ("known", "stratified", "top"):
        assert cells[59] not in Population(kind=kind, size=None).drawn(SPACE, truth).cells


def test_one_cell_may_stand_for_more_than_a_tenth():
    truth = sample_of(SPACE.unique()[:30], np.arange(30.0), [1.0] * 29 + [100.0])
    sample = Population(kind="stratified", size=20).drawn(SPACE, truth)
    assert sample.weights.sum() == pytest.approx(129)
