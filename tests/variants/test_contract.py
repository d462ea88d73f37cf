"""What every variant promises, run against everything that is registered."""

import math

import pytest
import torch

from bench.contracts import registry
from bench.contracts.moment import Moment
from bench.search.composition import Composition
from bench.search.loop import search
from bench.search.setup import build, initial_state

NAMES = registry.names("variants")


def run(settings, variants):
    setup = build(settings, variants, seed=0)
    state = initial_state(setup)
    search(setup, state)
    return state


@pytest.mark.parametrize("name", NAMES)
def test_a_search_with_it_is_finite_reproducible_and_leaves_the_global_stream_alone(name, small):
    variant = registry.parse("variants", name)
    before = torch.get_rng_state()
    first, second = run(small(), [variant]), run(small(), [variant])
    assert torch.equal(before, torch.get_rng_state())
    assert math.isfinite(first.history[-1]["train_loss"])
    for key, value in first.architecture.items():
        assert torch.isfinite(value).all()
        assert torch.equal(value, second.architecture[key])


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    variant = registry.load("variants", name)
    assert len(variant.summary()) > 20 and variant.paper
    assert registry.parse("variants", registry.dump(variant())) == variant()


@pytest.mark.parametrize("name", NAMES)
def test_off_is_plain_darts_bit_for_bit(name, tiny):
    variant = registry.load("variants", name)
    if variant.off is None:
        assert "no off" in " ".join(variant.__doc__.split()), "the docstring says why"
        return
    states = []
    for variants in ([], [{"name": name, **variant.off}]):
        setup, state = tiny(*variants)
        search(setup, state)
        states.append(state)
    plain, same = states
    assert plain.architecture.keys() == same.architecture.keys() and same.stopped is None
    assert torch.equal(plain.architecture["alpha"], same.architecture["alpha"])
    for a, b in zip(plain.supernet.parameters(), same.supernet.parameters(), strict=True):
        assert torch.equal(a, b)
    assert plain.history == same.history


@pytest.mark.parametrize(
    ("seam", "name"), [(s, n) for s in ("variants", "selection") for n in registry.names(s)]
)
def test_presets_are_sound_and_what_stands_beside_them_wins(seam, name):
    member = registry.load(seam, name)
    for preset, parameters in member.presets.items():
        found = registry.parse(seam, {"name": name, "preset": preset})
        assert found == member(**parameters)
        assert registry.parse(seam, registry.dump(found)) == found
    with pytest.raises(ValueError, match="unknown preset 'papr'"):
        registry.parse(seam, {"name": name, "preset": "papr"})


def test_an_explicit_key_wins_over_the_preset():
    found = registry.parse("variants", {"name": "partial_channels", "preset": "paper", "K": 2})
    assert found.K == 2 and found.warmup == 0.3


def moment(epoch, epochs=50, phase="weights"):
    return Moment(0, epoch, epoch, epochs, 1, phase, torch.device("cpu"))


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        ("constant", 30, 0.4),
        ("linear", 0, 0.4 * 49 / 50),
        ("linear", 49, 0.0),
        ("pdarts", 19, 0.4 * 30 / 50),
        ("pdarts", 20, 0.4),
        ("pdarts", 30, 0.4 * math.exp(-1)),
    ],
)
def test_skip_dropout_schedules(schedule, epoch, expected):
    variant = registry.parse(
        "variants", {"name": "skip_dropout", "rate": 0.4, "schedule": schedule}
    )
    assert variant.probability(moment(epoch)) == pytest.approx(expected)


def test_skip_dropout_drops_elements_of_skips_only_and_keeps_the_mean():
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
    variant = registry.parse("variants", {"name": "skip_dropout", "rate": 0.3})
    hooks = Composition([variant], space).hooks({}, moment(0))
    assert {space.operations[o] for o in hooks.touched} == {"skip_connect"} and not hooks.edges
    x = torch.ones(64, 8, 16, 16)
    y = hooks.operation(x, cell=0, edge=0, operation=1)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert y[y > 0].unique().tolist() == pytest.approx([1 / 0.7])
    assert torch.equal(y, hooks.operation(x, cell=0, edge=0, operation=1))
    assert not torch.equal(y, hooks.operation(x, cell=0, edge=1, operation=1))
    assert torch.equal(variant.operation(x, None, moment(0, phase="evaluate")), x)


def test_uniform_sampling_draws_every_path_equally_and_learns_no_alpha(small):
    variant = registry.parse("variants", "uniform_sampling")
    space = registry.parse("spaces", "nb201")
    counts, alpha = torch.zeros(6, 5), {"alpha": torch.zeros(6, 5)}
    for step in range(2000):
        now = moment(step)
        one_hot = variant.mixture(torch.zeros(6, 5), alpha, now)
        assert [[o] for o in one_hot.argmax(-1).tolist()] == variant.active(space, alpha, now)
        counts += one_hot
    assert (counts / 2000 - 0.2).abs().max() < 0.04
    settings = small()
    state = run(settings, [variant])
    fresh = initial_state(build(settings, [variant], seed=0))
    assert torch.equal(state.architecture["alpha"], fresh.architecture["alpha"])
    assert math.isnan(state.history[-1]["skip_count"])
