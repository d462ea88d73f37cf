"""What every black-box search promises, run against all that are registered."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest

from bench.contracts import registry
from bench.contracts.blackbox import BlackBox, Found, MissingLibraryError
from bench.spaces.nb201 import cells

CHOICES = (5,) * 6
NAMES = registry.names("blackbox")


def search(name: str, query, choices=CHOICES, budget: int = 60, seed: int = 0, **fields) -> Found:  # type: ignore[no-untyped-def]
    member: BlackBox = registry.parse("blackbox", {"name": name, **fields})
    try:
        return member.search(query, choices, budget, seed)
    except MissingLibraryError as error:
        pytest.skip(str(error))


def separable(choices: tuple[int, ...] = CHOICES, seed: int = 1):  # type: ignore[no-untyped-def]
    """A synthetic table: every edge contributes on its own; returns the query and its optimum."""
    worth = [np.random.default_rng(seed).permutation(count).tolist() for count in choices]
    best = tuple(int(np.argmax(edge)) for edge in worth)
    return lambda cell: 50.0 + sum(w[o] for w, o in zip(worth, cell, strict=True)), best


def test_there_are_searches() -> None:
    expected = "random_search regularized_evolution reinforce local_search bohb tpe"
    assert set(expected.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name: str) -> None:
    member = registry.load("blackbox", name)
    assert member.summary() and member.paper and member.repeats in ("cost budget", "remembered")


@pytest.mark.parametrize("budget", [1, 7, 60])
@pytest.mark.parametrize("name", NAMES)
def test_spends_its_budget_and_no_more(name: str, budget: int) -> None:
    asked = []
    query, _ = separable()

    def counted(cell: tuple[int, ...]) -> float:
        asked.append(cell)
        return float(query(cell))

    found = search(name, counted, budget=budget)
    assert len(asked) == budget == len(found.accuracies)
    assert tuple(asked) == found.evaluated


@pytest.mark.parametrize("name", NAMES)
def test_asks_for_cells_of_the_space_alone(name: str) -> None:
    choices = (2, 5, 1, 3)
    query, _ = separable(choices)
    for cell in search(name, query, choices).evaluated:
        assert type(cell) is tuple and all(type(operation) is int for operation in cell)
        assert all(0 <= o < count for o, count in zip(cell, choices, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_favourite_is_the_best_that_was_evaluated(name: str) -> None:
    found = search(name, separable()[0])
    assert found.favourite == found.evaluated[int(np.argmax(found.accuracies))]
    assert max(found.accuracies) == separable()[0](found.favourite)


@pytest.mark.parametrize("name", NAMES)
def test_depends_on_its_seed_alone(name: str) -> None:
    query, _ = separable()
    first = search(name, query, seed=3)
    np.random.seed(0)  # noqa: NPY002 - the global stream must not matter
    assert first == search(name, query, seed=3)
    assert first.evaluated != search(name, query, seed=4).evaluated


@pytest.mark.parametrize("name", NAMES)
def test_sees_nothing_but_what_it_asked(name: str) -> None:
    # Another table that agrees on all that was asked gives the same search.
    query, _ = separable()
    found = search(name, query)
    known = dict(zip(found.evaluated, found.accuracies, strict=True))
    assert search(name, known.__getitem__) == found


@pytest.mark.parametrize("name", NAMES)
def test_finds_the_optimum_of_a_small_space(name: str) -> None:
    choices = (2, 3, 2)
    query, best = separable(choices)
    for seed in range(3):
        assert search(name, query, choices, budget=200, seed=seed).favourite == best


@pytest.mark.parametrize("name", NAMES)
def test_survives_a_flat_table_and_a_single_cell(name: str) -> None:
    assert set(search(name, lambda cell: 10.0).accuracies) == {10.0}
    assert search(name, lambda cell: 10.0, (1, 1), budget=40).favourite == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_a_budget_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        search(name, lambda cell: 1.0, budget=0)


@pytest.mark.parametrize(
    ("name", "fields", "runs"),
    [
        ("regularized_evolution", {}, 20),
        ("local_search", {}, 20),
        ("local_search", {"first_improvement": True}, 20),
        ("reinforce", {"lr": 0.1}, 20),
        ("tpe", {}, 4),
    ],
)
def test_what_learns_beats_random_search(name: str, fields: dict[str, object], runs: int) -> None:
    query, _ = separable()
    guided = [search(name, query, budget=110, seed=s, **fields) for s in range(runs)]
    drawn = [search("random_search", query, budget=110, seed=s) for s in range(20)]
    best, reference = (np.mean([max(f.accuracies) for f in found]) for found in (guided, drawn))
    assert best > reference + 0.5


def test_random_search_is_uniform_with_replacement() -> None:
    found = search("random_search", lambda cell: 0.0, budget=6000)
    counts = np.stack([np.bincount(edge, minlength=5) for edge in np.array(found.evaluated).T])
    assert np.abs(counts - 1200).max() < 5 * math.sqrt(6000 * 0.2 * 0.8)
    assert search("random_search", lambda cell: 0.0, (2, 2), budget=50).distinct == 4


def test_evolution_changes_one_edge_and_buries_the_oldest() -> None:
    query, _ = separable()
    found = search("regularized_evolution", query, budget=80)
    for i, child in enumerate(found.evaluated[10:], start=10):
        alive = found.evaluated[i - 10 : i]
        assert any(sum(a != b for a, b in zip(child, parent, strict=True)) == 1 for parent in alive)


def test_a_tournament_of_everyone_often_enough_is_greedy() -> None:
    query, _ = separable()
    found = search("regularized_evolution", query, budget=40, tournament=2000)
    for i, child in enumerate(found.evaluated[10:], start=10):
        best = max(range(i - 10, i), key=found.accuracies.__getitem__)
        top = [
            found.evaluated[j]
            for j in range(i - 10, i)
            if found.accuracies[j] == found.accuracies[best]
        ]
        assert any(sum(a != b for a, b in zip(child, p, strict=True)) == 1 for p in top)


def test_local_search_never_pays_twice_and_ends_when_all_is_seen() -> None:
    query, best = separable((2, 3, 2))
    found = search("local_search", query, (2, 3, 2), budget=1000)
    assert len(found.evaluated) == found.distinct == 12 and found.favourite == best


def test_local_search_climbs_by_the_steepest_step() -> None:
    query, best = separable()
    found = search("local_search", query, budget=1000)
    # From the first cell on: all 24 neighbours, then those of the best of them, to the optimum.
    here, rest = found.evaluated[0], list(found.evaluated[1:])
    seen = {here}
    while True:
        around = {
            (*here[:e], o, *here[e + 1 :]) for e, o in itertools.product(range(6), range(5))
        } - {here}
        fresh, rest = rest[: len(around - seen)], rest[len(around - seen) :]
        assert set(fresh) == around - seen
        seen |= around
        up = max(around, key=query)
        if query(up) <= query(here):
            break
        here = up
    assert here == best


def test_reinforce_follows_the_score_function() -> None:
    # With one edge and a strong preference the policy must concentrate on the better operation.
    found = search("reinforce", lambda cell: 90.0 + cell[0], (2,), budget=600, lr=0.1)
    assert np.mean([cell[0] for cell in found.evaluated[-100:]]) > 0.95


def test_bohb_repeats_what_it_promotes() -> None:
    query, _ = separable()
    found = search("bohb", query, budget=20)
    # One round of brackets: 9 → 3 → 1, 3 → 1, 3.
    first = found.evaluated[:13]
    best = sorted(range(9), key=lambda i: -found.accuracies[i])[:3]
    assert first[9:12] == tuple(first[i] for i in best)
    assert first[12] == first[best[0]]
    assert found.evaluated[16] in found.evaluated[13:16]
    assert search("bohb", query, budget=110, rungs=1).distinct > 100


def test_a_search_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingLibraryError, match="pip install"):
        registry.parse("blackbox", "tpe").search(lambda cell: 1.0, CHOICES, 5, 0)


def test_a_query_of_the_real_space_is_an_index() -> None:
    values = np.random.default_rng(0).normal(80, 5, 15625)
    found = search("random_search", lambda cell: float(values[cells.index(cell)]), budget=30)
    assert values[cells.index(found.favourite)] == max(found.accuracies)
