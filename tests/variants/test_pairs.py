"""Every variant with every other and with every hypergradient: it runs, or says why not."""

import itertools
from dataclasses import replace

import pytest
import torch

from bench.contracts import registry
from bench.contracts.hypergradient import Trained
from bench.search import hypergradient as estimation
from bench.search.composition import ContradictionError
from bench.search.loop import search

NAMES = registry.names("variants")
SHORT = {"T": 1, "K": 1, "k": 1, "pairs": 1}
"""Small values of whatever of these an estimator has."""
DEAR = {"forward": ["skip_dropout", "drnas", "gdas"]}
"""An estimator of A backward passes a step meets a hook inside cells, a draw and a drawn path."""


def sound(state):
    assert all(torch.isfinite(value).all() for value in state.architecture.values())
    assert all(torch.isfinite(p).all() for p in state.supernet.parameters())
    assert state.architecture["alpha"].shape == (6, 5)
    losses = [entry["train_loss"] for entry in state.history]
    return any(loss == loss for loss in losses) and all(loss != float("inf") for loss in losses)


@pytest.mark.parametrize("first", NAMES)
def test_it_runs_with_every_other_or_the_two_are_refused_with_a_sentence(first, tiny):
    before = torch.get_rng_state()
    for second in NAMES[NAMES.index(first) + 1 :]:
        try:
            setup, state = tiny(first, second, epochs=2)
        except ContradictionError as refusal:
            assert first in str(refusal) and second in str(refusal), refusal
            assert len(str(refusal).split()) > 4
            continue
        search(setup, state)
        assert sound(state), second
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("estimator", registry.names("hypergradients"))
def test_every_hypergradient_gets_through_every_variant(estimator, tiny):
    kind = registry.load("hypergradients", estimator)
    short = {name: value for name, value in SHORT.items() if name in kind.model_fields}
    forms = [short, *([short | {"in_loop": True}] if issubclass(kind, Trained) else [])]
    for name, parameters in itertools.product(DEAR.get(estimator, NAMES), forms):
        fields = registry.load("variants", name).model_fields
        setup, state = tiny(
            {"name": name} | ({"warmup": 0} if "warmup" in fields else {}), epochs=1
        )
        setup = replace(setup, hypergradient=kind(**parameters))
        state.hypergradient = estimation.initial(setup, state)
        search(setup, state)
        sound(state)
