"""A search with the compiled kernel: resumes bit for bit, keeps its arithmetic, needs no compiler."""

import pytest
import torch

from bench import kernels
from bench.contracts import registry
from bench.search.loop import search
from bench.search.setup import build, initial_state
from bench.spaces.nb201 import fused


@pytest.fixture
def without(monkeypatch):
    """Take the compiler away."""
    kernels.load.cache_clear()
    monkeypatch.setenv("CXX", "")
    yield
    kernels.load.cache_clear()


def begun(settings, variants=()):
    setup = build(settings, list(variants), seed=0)
    return setup, initial_state(setup)


def wide(small, **changes):
    return small(space={"name": "nb201", "channels": 8, "cells": 1}, instruments=[], **changes)


def run(setup, state):
    kept = []
    search(setup, state, after_epoch=lambda s: kept.append(clone(s.to_dict())))
    return kept


def clone(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {k: clone(v) for k, v in value.items()}
    return [clone(v) for v in value] if isinstance(value, list) else value


needed = pytest.mark.skipif(not fused.available(), reason="needs a C++ compiler")


@needed
def test_resumes_bit_for_bit(small):
    setup, state = begun(wide(small))
    assert state.supernet.compiled
    first, last = run(setup, state)
    setup, again = begun(wide(small))
    again.load_dict(first)
    assert again.supernet.compiled
    (end,) = run(setup, again)
    for name, value in end["supernet"].items():
        assert torch.equal(value, last["supernet"][name])
    assert torch.equal(end["architecture"]["alpha"], last["architecture"]["alpha"])


@needed
def test_agrees_with_pytorch_to_rounding(small):
    ends = []
    for kernel in ("auto", "torch"):
        setup, state = begun(wide(small, kernel=kernel))
        assert state.supernet.compiled == (kernel == "auto")
        run(setup, state)
        ends.append(state.architecture["alpha"].detach())
    torch.testing.assert_close(*ends, rtol=0, atol=1e-4)
    assert not torch.equal(*ends)  # two ways of adding up


@needed
def test_a_search_keeps_the_arithmetic_that_it_began_with(small):
    _, state = begun(wide(small, kernel="torch"))
    begun_in_torch = clone(state.to_dict())
    _, other = begun(wide(small))
    other.load_dict(begun_in_torch)
    assert not other.supernet.compiled


@needed
def test_a_variant_inside_cells_resumes_bit_for_bit_too(small):
    dropout = registry.parse("variants", {"name": "skip_dropout", "rate": 0.3})
    setup, state = begun(wide(small), [dropout])
    first, last = run(setup, state)
    setup, again = begun(wide(small), [dropout])
    again.load_dict(first)
    (end,) = run(setup, again)
    for name, value in end["supernet"].items():
        assert torch.equal(value, last["supernet"][name])
    assert torch.equal(end["architecture"]["alpha"], last["architecture"]["alpha"])


def test_without_a_compiler_the_numbers_are_pytorchs(small, without):
    ends = []
    for kernel in ("auto", "torch"):
        setup, state = begun(wide(small, kernel=kernel))
        assert not state.supernet.compiled
        run(setup, state)
        ends.append(state.architecture["alpha"].detach())
    assert torch.equal(*ends)


@needed
def test_a_checkpoint_made_with_the_kernel_goes_on_without(small, request):
    setup, state = begun(wide(small))
    saved = clone(state.to_dict())
    request.getfixturevalue("without")
    setup, other = begun(wide(small))
    other.load_dict(saved)
    assert not other.supernet.compiled
    run(setup, other)
