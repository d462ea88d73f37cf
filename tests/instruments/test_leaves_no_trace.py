"""Every instrument in a search with every variant: nothing moves, and names are always the same."""

import copy
import fnmatch

import pytest
import torch

from bench.contracts import registry

SHORT = {"batches": 2, "images": 32, "size": 4, "finetune": 1, "random": 1, "cells": 2, "epochs": 1}
"""Small values of whatever of these an instrument has."""
OTHERS = {"hypergradient_bias"}
"""Has a test of its own: it is dear."""
NAMES: dict[str, set[str]] = {}
"""Instrument → its readings other than details, as the first variant here had them."""
RUNNING = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}


def instruments():
    for name in registry.names("instruments"):
        if name not in OTHERS:
            fields = registry.load("instruments", name).model_fields
            short = {key: value for key, value in SHORT.items() if key in fields}
            yield registry.parse("instruments", {"name": name, **short})


def gradients(state):
    values = [*state.supernet.parameters(), *state.architecture.values()]
    return [None if v.grad is None else v.grad.clone() for v in values]


@pytest.mark.parametrize("variant", [None, *registry.names("variants")])
def test_nothing_moves_and_readings_are_numbers_of_the_same_names(variant, searched):
    setup, state = searched(*([variant] if variant else []), space=RUNNING, truth="analog")
    before, stream, grads = copy.deepcopy(state.to_dict()), torch.get_rng_state(), gradients(state)
    for instrument in instruments():
        found = instrument.observe(setup, state)
        assert torch.equal(stream, torch.get_rng_state()), instrument.name
        torch.testing.assert_close(state.to_dict(), before, rtol=0, atol=0, equal_nan=True)
        assert state.supernet.training
        for old, new in zip(grads, gradients(state), strict=True):
            assert new is old or torch.equal(new, old), instrument.name
        assert all(type(value) is float for value in found.values()), instrument.name
        details = instrument.details or "-"
        names = {name for name in found if not name.startswith(details)}
        assert NAMES.setdefault(instrument.name, names) == names, instrument.name
        declared = [entry.name for entry in instrument.measures]
        undeclared = {n for n in names if not any(fnmatch.fnmatchcase(n, d) for d in declared)}
        assert not undeclared, (instrument.name, undeclared)
        if variant is None:
            again = instrument.observe(setup, state)
            assert found == pytest.approx(again, rel=0, abs=0, nan_ok=True), instrument.name


@pytest.mark.parametrize("instrument", list(instruments()), ids=lambda i: i.name)
def test_it_says_what_it_is_and_costs(instrument):
    assert len(instrument.summary()) > 20 and instrument.cost
    assert registry.parse("instruments", registry.dump(instrument)) == instrument
