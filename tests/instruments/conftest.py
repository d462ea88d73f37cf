"""A supernet after a step or two, with mixture weights far from uniform."""

import pytest
import torch

from bench.contracts import registry
from bench.search.loop import search
from bench.search.setup import build, initial_state


@pytest.fixture
def searched(small):
    """Return a function that gives a setup and its state after a short search."""

    def run(*variants, spread=1.0, **changes):
        found = [registry.parse("variants", v) for v in variants]
        changes.setdefault("search", {"epochs": 1, "batch": 32})
        setup = build(small(instruments=[], **changes), found, seed=0)
        state = initial_state(setup)
        search(setup, state)
        with torch.no_grad():
            alpha = state.architecture["alpha"]
            alpha += spread * torch.randn(alpha.shape, generator=torch.Generator().manual_seed(1))
        return setup, state

    return run


@pytest.fixture
def read():
    """Return a function that makes an instrument and reads it."""

    def observe(setup, state, name, **parameters):
        return registry.parse("instruments", {"name": name, **parameters}).observe(setup, state)

    return observe
