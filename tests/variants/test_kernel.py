"""Every registered variant goes through the compiled kernel and means the same there as in PyTorch."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.variant import overrides
from bench.search.composition import Composition, ContradictionError
from bench.search.settings import Settings
from bench.search.setup import build, initial_state
from bench.spaces.nb201 import native

pytestmark = pytest.mark.skipif(not native.available(), reason="needs a C++ compiler")
NAMES = registry.names("variants")
FORMS = [
    pytest.param({"name": name, **({"preset": preset} if preset else {})}, id=f"{name}-{preset}")
    for name in NAMES
    for preset in (None, *registry.load("variants", name).presets)
]
SPACES = {
    "plain": {},
    "affine, running": {"affine": True, "running_statistics": True},
}


def acts_inside(name):
    variant = registry.parse("variants", name)
    return bool(variant.touches or overrides(variant, "edge") or overrides(variant, "partial"))


NEEDS_NUMBERS = {"noisy_darts"}
"""Gaussian noise in proportion to the features' own deviation: a stand-in has no numbers to take it
of, so that such cells run in PyTorch. It is the one variant that cannot go through the kernel."""
INSIDE = [name for name in NAMES if acts_inside(name)]


@pytest.fixture(scope="module")
def late():
    """Return a function that gives setup, state and batch in float64, late in a search."""

    def make(*variants, **space):
        settings = Settings.model_validate(
            {
                "space": {"name": "nb201", "channels": 8, "cells": 1, **space},
                "data": {"name": "digits", "size": 64},
                "search": {"epochs": 3, "batch": 16},
                "device": "cpu",
                "ranking": None,
                "selection": "argmax",
            }
        )
        found = [registry.parse("variants", v) for v in variants]
        setup = build(settings, found, seed=0)
        state = initial_state(setup)
        state.epoch, state.step = 2, 2 * setup.steps_per_epoch
        state.supernet.double()
        draws = torch.Generator().manual_seed(1)
        for value in state.architecture.values():
            value.data = value.data.double() + torch.randn(value.shape, generator=draws)
        with torch.no_grad():
            for parameter in state.supernet.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=draws)
        batch = setup.batch("train", state.step)
        return setup, state, replace(batch, images=batch.images.double())

    return make


def everything(setup, state, batch, phase, compiled):
    """Return loss, all gradients and buffers of one pass."""
    state.supernet.compiled = compiled
    saved = {name: buffer.clone() for name, buffer in state.supernet.named_buffers()}
    moment = setup.moment(state, phase)
    mixture = setup.composition.mixture(state.architecture, moment)
    loss = F.cross_entropy(setup.logits(state, moment, batch, mixture), batch.labels)
    leaves = [*state.architecture.values(), *state.supernet.parameters()]
    found = torch.autograd.grad(loss, leaves, allow_unused=True) if loss.requires_grad else []
    after = [buffer.clone() for buffer in state.supernet.buffers()]
    for name, buffer in state.supernet.named_buffers():
        buffer.copy_(saved[name])
    return [loss.detach(), *found, *after]


def assert_same(setup, state, batch):
    for phase in ("weights", "architecture", "evaluate"):
        mine, theirs = (everything(setup, state, batch, phase, c) for c in (True, False))
        for one, other in zip(mine, theirs, strict=True):
            assert (one is None) == (other is None)  # SGD leaves a weight without gradient alone
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.fixture
def runs(monkeypatch):
    """Count the cells that the kernel runs."""
    seen, call = [], native.call
    monkeypatch.setattr(native, "call", lambda name, *rest: (seen.append(name), call(name, *rest)))
    return seen


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("variant", FORMS)
def test_it_runs_in_the_kernel_with_pytorchs_numbers(variant, space, late, runs):
    setup, state, batch = late(variant, **space)
    assert_same(setup, state, batch)
    (own,) = setup.composition.variants
    if own.name in NEEDS_NUMBERS and own.noise == "gaussian" and own.mode == "additive":
        return
    assert runs.count("forward") == 3 * 3  # phases, cells: nothing fell back to PyTorch
    assert runs.count("backward") == 3 * 3


@pytest.mark.parametrize("first", INSIDE)
def test_any_two_inside_cells_together(first, late):
    for second in INSIDE:
        if second == first:
            continue
        try:
            case = late(first, second)
        except ContradictionError:
            continue
        assert_same(*case)


def test_all_that_go_together_at_once(late, runs):
    both = ["norm_on_weight_free", "skip_dropout", "noise_for_skip"]
    edges = ["edge_drop_path", "darts_minus", "gdas", "partial_channels"]
    setup, state, batch = late(*both, *edges, affine=True, running_statistics=True)
    assert_same(setup, state, batch)
    assert len(runs) == 18


class Odd:
    """Hooks that no stand-in can follow."""

    def __new__(cls, hook):
        found = type("Odd", (registry.load("variants", "skip_dropout"),), {"operation": hook})
        found.name = "skip_dropout"
        return found(rate=0.5)


@pytest.mark.parametrize(
    "hook",
    [
        lambda self, y, site, moment: y.relu(),
        lambda self, y, site, moment: y * y,
        lambda self, y, site, moment: y * y.mean(),
        lambda self, y, site, moment: torch.where(y > 0, y, 0 * y),
        lambda self, y, site, moment: F.batch_norm(2 * y, None, None, training=True),
        lambda self, y, site, moment: y[:, :1].expand(y.shape),
        lambda self, y, site, moment: y if y.sum() > 0 else -y,
    ],
)
def test_a_hook_that_is_no_arithmetic_runs_in_pytorch(hook, late, runs):
    setup, state, batch = late()
    setup = replace(setup, composition=Composition([Odd(hook)], setup.space))
    assert_same(setup, state, batch)
    assert not runs


def test_a_hook_of_plain_arithmetic_needs_to_know_of_no_kernel(late, runs):
    def hook(self, y, site, moment):
        return -(2 * y - torch.ones_like(y)) / 4 + y * torch.full(y.shape, 0.5, dtype=y.dtype)

    setup, state, batch = late()
    setup = replace(setup, composition=Composition([Odd(hook)], setup.space))
    assert_same(setup, state, batch)
    assert len(runs) == 18


def test_derivatives_of_derivatives_with_everything_inside(late):
    setup, state, batch = late("skip_dropout", "edge_drop_path", "partial_channels", affine=True)
    results = []
    for compiled in (True, False):
        state.supernet.compiled = compiled
        moment = setup.moment(state, "architecture")
        mixture = setup.composition.mixture(state.architecture, moment)
        loss = F.cross_entropy(setup.logits(state, moment, batch, mixture), batch.labels)
        weights = list(state.supernet.parameters())
        first = torch.autograd.grad(loss, weights, create_graph=True)
        leaves = list(state.architecture.values())
        results.append(torch.autograd.grad(sum((g**2).sum() for g in first), leaves))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
