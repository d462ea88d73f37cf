"""Every variant with every other and with every hypergradient: it runs, or says why not."""

import itertools

import pytest
import torch

from bench import registry
from bench.composition import ContradictionError
from bench.hypergradients import Trained
from bench.search import search

NAMES = registry.names("variants")
SHORT = {"T": 2, "K": 2, "k": 2, "pairs": 1}
"""Small values of whatever of these an estimator has."""


def sound(state):
    losses = [entry["train_loss"] for entry in state.history]
    assert all(torch.isfinite(value).all() for value in state.architecture.values())
    assert all(torch.isfinite(p).all() for p in state.supernet.parameters())
    assert state.architecture["alpha"].shape == (6, 5)
    return losses


@pytest.mark.parametrize("first", NAMES)
def test_it_runs_with_every_other_or_the_two_are_refused_with_a_sentence(first, tiny):
    ran = 0
    before = torch.get_rng_state()
    for second in NAMES[NAMES.index(first) + 1 :]:
        try:
            setup, state = tiny(first, second)
        except ContradictionError as refusal:
            assert first in str(refusal) and second in str(refusal) and len(str(refusal).split()) > 4
            continue
        search(setup, state)
        assert state.stopped or any(x == x for x in sound(state))
        ran += 1
    assert torch.equal(before, torch.get_rng_state())
    assert ran or len(NAMES) - NAMES.index(first) < 8


@pytest.mark.parametrize("estimator", registry.names("hypergradients"))
def test_every_hypergradient_gets_through_every_variant(estimator, tiny):
    kind = registry.load("hypergradients", estimator)
    short = {name: value for name, value in SHORT.items() if name in kind.model_fields}
    forms = [short, *([short | {"in_loop": True}] if issubclass(kind, Trained) else [])]
    from dataclasses import replace

    for name, parameters in itertools.product(NAMES, forms):
        setup, state = tiny(name, epochs=1)
        setup = replace(setup, hypergradient=kind(**parameters))
        from bench import estimation

        state.hypergradient = estimation.initial(setup, state)
        state.epoch, setup = 0, setup
        estimate = estimation.estimate(setup, state)
        for key, value in estimate.total.items():
            assert value.shape == state.architecture[key].shape
            assert torch.isfinite(value).all(), (name, key)
        search(setup, state)
        sound(state)
