"""The loop does what its formulas say, and nothing else."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.search.loop import DivergedError, Interrupted, architecture_step, search, weight_step
from bench.search.setup import build, initial_state


def started(settings, variants=(), seed=0):
    setup = build(settings, [registry.parse("variants", v) for v in variants], seed)
    return setup, initial_state(setup)


def fingerprint(state):
    return [
        *(v.detach().clone() for v in state.supernet.state_dict().values()),
        *(v.detach().clone() for v in state.architecture.values()),
    ]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_weight_step_is_clipped_nesterov_sgd_on_the_training_half(small):
    setup, state = started(small())
    reference = copy.deepcopy(state.supernet)
    for _ in range(3):
        weight_step(setup, state)
        state.step += 1
    o = setup.settings.search.weights
    buffers = [torch.zeros_like(p) for p in reference.parameters()]
    for step in range(3):
        batch = setup.batch("train", step)
        mixture = state.architecture["alpha"].detach().softmax(-1)
        loss = F.cross_entropy(reference(batch.images, mixture), batch.labels)
        grads = torch.autograd.grad(loss, list(reference.parameters()))
        norm = torch.sqrt(sum((g**2).sum() for g in grads))
        lr = o.lr_min + (o.lr - o.lr_min) * 0.5 * (1 + math.cos(math.pi * step / 4))
        with torch.no_grad():
            for p, g, m in zip(reference.parameters(), grads, buffers, strict=True):
                g = g * min(1.0, o.clip / (norm + 1e-6)) + o.weight_decay * p
                m.mul_(o.momentum).add_(g)
                p.sub_(lr * (g + o.momentum * m))
    for mine, theirs in zip(state.supernet.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_architecture_step_is_adam_on_the_validation_half(small):
    setup, state = started(small())
    before = fingerprint(state)[:-1]
    alpha = state.architecture["alpha"].detach().clone().requires_grad_()
    batch = setup.batch("valid", 0)
    loss = F.cross_entropy(state.supernet(batch.images, alpha.softmax(-1)), batch.labels)
    (gradient,) = torch.autograd.grad(loss, alpha)
    gradient = gradient + 1e-3 * alpha.detach()
    architecture_step(setup, state)
    # Adam's first step is lr·g/(|g| + ε), whatever the betas.
    expected = alpha.detach() - 3e-3 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(state.architecture["alpha"].detach(), expected, rtol=1e-5, atol=1e-6)
    assert same(before, fingerprint(state)[:-1])


def test_the_two_updates_use_different_halves(small):
    setup, _ = started(small())
    train = {tuple(p.flatten().tolist()) for p in setup.data.train.pixels}
    valid = {tuple(p.flatten().tolist()) for p in setup.data.valid.pixels}
    assert len(setup.data.train) == len(setup.data.valid) == 64
    assert not train & valid
    assert (
        setup.data.train.labels.bincount() - setup.data.valid.labels.bincount()
    ).abs().max() <= 1


def test_the_global_random_stream_is_neither_used_nor_changed(small):
    results = []
    for junk in (0, 1):
        torch.manual_seed(junk)
        before = torch.get_rng_state()
        setup, state = started(small(), [{"name": "skip_dropout", "rate": 0.5}])
        search(setup, state)
        assert torch.equal(before, torch.get_rng_state())
        results.append(fingerprint(state))
    assert same(*results)


def test_order_of_updates_is_an_option_that_matters(small):
    alphas = []
    for order in ("weights_first", "architecture_first"):
        setup, state = started(small(search={"epochs": 1, "batch": 32, "order": order}))
        search(setup, state)
        alphas.append(state.architecture["alpha"].detach().clone())
    assert not torch.equal(*alphas)


def test_instruments_change_nothing(small):
    results = []
    small_bias = {
        "name": "hypergradient_bias",
        "sequences": 2,
        "reference": {"name": "reverse", "T": 3},
        "estimators": {"first_order": "first_order", "neumann": {"name": "neumann", "K": 2}},
    }
    fewer = [small_bias, {"name": "alpha_hessian", "batches": 2}]
    dear = [instrument["name"] for instrument in fewer]
    others = [name for name in registry.names("instruments") if name not in dear]
    for instruments in ([], [*others, *fewer]):
        setup, state = started(small(instruments=instruments, truth="analog"))
        search(setup, state)
        results.append(fingerprint(state))
    assert same(*results)


def test_divergence_ends_the_run_with_what_was_measured(small):
    setup, state = started(
        small(search={"epochs": 4, "batch": 32, "weights": {"lr": 0.025, "clip": None}})
    )

    def poison(state):
        if state.epoch == 2:
            with torch.no_grad():
                next(iter(state.supernet.parameters())).fill_(float("inf"))

    with pytest.raises(DivergedError, match="epoch 3"):
        search(setup, state, after_epoch=poison)
    assert [entry["epoch"] for entry in state.history] == [1, 2]
    assert all(math.isfinite(entry["train_loss"]) for entry in state.history)


def test_interruption_leaves_a_state_that_goes_on_bit_identically(small):
    settings = small(search={"epochs": 4, "batch": 32})
    setup, whole = started(settings, [{"name": "skip_dropout", "rate": 0.3}])
    search(setup, whole)
    for stop_at in (1, 2, 3, 5, 7):
        setup, first = started(settings, [{"name": "skip_dropout", "rate": 0.3}])
        with pytest.raises(Interrupted):
            search(setup, first, asked_to_stop=lambda s=first, n=stop_at: s.step == n)
        _, second = started(settings, [{"name": "skip_dropout", "rate": 0.3}])
        second.load_dict(copy.deepcopy(first.to_dict()))
        search(setup, second)
        assert same(fingerprint(whole), fingerprint(second)), f"stopped after {stop_at} steps"
        assert repr(whole.history) == repr(second.history)  # NaN differs from itself


@pytest.mark.parametrize("running", [False, True])
def test_bfloat16_autocast_runs(small, running):
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": running}
    setup, state = started(
        small(space=space, search={"epochs": 1, "batch": 32, "precision": "bfloat16"})
    )
    search(setup, state)
    assert math.isfinite(state.history[-1]["train_loss"])


def test_running_statistics_move_in_the_weight_step_only(small):
    setup, state = started(
        small(space={"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True})
    )
    before = {name: b.clone() for name, b in state.supernet.named_buffers()}
    architecture_step(setup, state)
    assert all(torch.equal(before[n], b) for n, b in state.supernet.named_buffers())
    weight_step(setup, state)
    assert not all(torch.equal(before[n], b) for n, b in state.supernet.named_buffers())


@pytest.mark.parametrize(
    "extreme",
    [
        {"weights": {"lr": 1e300}},
        {"architecture": {"lr": 1e300}},
        {"weights": {"weight_decay": 1e300}},
        {"architecture": {"weight_decay": 1e300}},
    ],
)
def test_a_rate_beyond_the_range_of_weights_is_a_divergence(small, extreme):
    setup, state = started(small(search={"epochs": 1, "batch": 16, **extreme}))
    with pytest.raises(
        DivergedError, match=r"(beyond the range of numbers|not finite) in epoch 1, step 0"
    ):
        search(setup, state)
