"""Selection rules are deterministic, leave the state as it was, and give a cell of the space."""

import copy

import pytest
import torch

from bench.contracts import registry
from bench.search.loop import search
from bench.search.setup import build, initial_state


@pytest.fixture(scope="module")
def searched():
    from bench.search.settings import Settings

    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 4, "cells": 1},
            "data": {"name": "digits", "size": 128},
            "search": {"epochs": 1, "batch": 32},
            "device": "cpu",
            "ranking": {"images": 64, "batch": 64},
            "selection": "argmax",
        }
    )
    setup = build(settings, [], 0)
    state = initial_state(setup)
    search(setup, state)
    return setup, state


@pytest.mark.parametrize("name", registry.names("selection"))
def test_contract(name, searched):
    setup, state = searched
    rule, before = registry.parse("selection", name), copy.deepcopy(state.to_dict())
    stream = torch.get_rng_state()
    first, second = rule.select(setup, state), rule.select(setup, state)
    assert first == second
    assert setup.space.decode(setup.space.encode(first)) == first
    assert torch.equal(stream, torch.get_rng_state())
    after = state.to_dict()
    assert all(torch.equal(before["supernet"][k], v) for k, v in after["supernet"].items())
    assert all(torch.equal(before["architecture"][k], v) for k, v in after["architecture"].items())
    assert repr(before["weight_optimizer"]) == repr(after["weight_optimizer"])


def test_argmax_takes_the_strongest_and_may_exclude(searched):
    setup, state = searched
    state = copy.copy(state)
    alpha = torch.zeros(6, 5)
    alpha[torch.arange(6), torch.tensor([0, 1, 2, 3, 4, 0])] = 1.0
    alpha[:, 2] += 0.5
    state.architecture = {"alpha": alpha}
    assert registry.parse("selection", "argmax").select(setup, state) == (0, 1, 2, 3, 4, 0)
    rule = registry.parse("selection", {"name": "argmax", "exclude": ["none"]})
    assert rule.select(setup, state) == (2, 1, 2, 3, 4, 2)
    with pytest.raises(ValueError, match="no operation 'zero'"):
        registry.parse("selection", {"name": "argmax", "exclude": ["zero"]}).select(setup, state)


def test_best_sampled_is_the_best_of_what_it_drew(searched):
    from bench.ranking.evaluate import evaluate

    setup, state = searched
    chosen = registry.parse("selection", {"name": "best_sampled", "k": 30}).select(setup, state)
    fewer = registry.parse("selection", {"name": "best_sampled", "k": 3}).select(setup, state)
    scores = evaluate(setup, state, [chosen, fewer], setup.settings.ranking)
    assert scores.accuracy[0] >= scores.accuracy[1]
