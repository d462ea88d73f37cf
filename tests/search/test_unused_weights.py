"""What a step does to weights that it does not run: as published, however convolutions are merged."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.search.loop import weight_step
from bench.search.setup import build, initial_state
from bench.spaces.nb201 import fused
from tests.spaces.textbook import TextbookSupernet

STEPS = 6
KERNELS = ["torch"] + (["auto"] if fused.available() else [])


def plain(small, variants, unused, kernel):
    """Return setup, state and the textbook supernet at its weights, unmerged."""
    settings = small(
        space={"name": "nb201", "channels": 8, "cells": 1},
        search={"epochs": 4, "batch": 32, "weights": {"unused": unused, "lr": 0.1}},
        kernel=kernel,
    )
    setup = build(settings, [registry.parse("variants", v) for v in variants], seed=0)
    state = initial_state(setup)
    slow = TextbookSupernet(1, 10, 8, 1)
    slow.copy_from(state.supernet)
    return setup, state, slow


def step_by_hand(setup, state, slow, optimizer, unused):
    """Make the step with one module for every operation: SPOS's or old RSPS's way."""
    batch, moment = setup.batch("train", state.step), setup.moment(state, "weights")
    own = setup.settings.search.weights
    mixture = setup.composition.mixture(state.architecture, moment).detach()
    optimizer.zero_grad()
    F.cross_entropy(slow(batch.images, mixture), batch.labels).backward()
    for weight in slow.parameters():
        if unused == "leave" and weight.grad is not None and weight.grad.sum() == 0:
            weight.grad = None  # train.py of Single Path One-Shot
        if unused == "decay" and weight.grad is None:
            weight.grad = torch.zeros_like(weight)  # zero_grad() filled with zeros then
    torch.nn.utils.clip_grad_norm_(slow.parameters(), own.clip)
    progress = torch.tensor(moment.progress * torch.pi)
    optimizer.param_groups[0]["lr"] = own.lr_min + (own.lr - own.lr_min) * (
        0.5 * (1 + torch.cos(progress).item())
    )
    optimizer.step()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("unused", ["decay", "leave"])
@pytest.mark.parametrize("variant", ["uniform_sampling", "gdas"])
def test_steps_are_those_of_unmerged_convolutions(variant, unused, kernel, small):
    setup, state, slow = plain(small, [variant], unused, kernel)
    own = setup.settings.search.weights
    optimizer = torch.optim.SGD(
        slow.parameters(),
        lr=own.lr,
        momentum=own.momentum,
        nesterov=True,
        weight_decay=own.weight_decay,
    )
    for _ in range(STEPS):
        step_by_hand(setup, state, slow, optimizer, unused)
        weight_step(setup, state)
        state.step += 1
        state.epoch = state.step // setup.steps_per_epoch
    fast = dict(state.supernet.named_parameters())
    for own_weight, name, rows in slow.pairs(state.supernet):
        theirs = fast[name] if rows is None else fast[name][rows]
        torch.testing.assert_close(theirs, own_weight, rtol=1e-4, atol=1e-5)


def test_the_two_differ_by_the_decay_of_what_was_not_run(small):
    """One step: an operation that it did not run keeps its weights, or loses lr·decay of them."""
    for unused, factor in (("leave", 1.0), ("decay", 1 - 0.1 * 5e-4 * 1.9)):  # Nesterov: 1 + 0.9
        setup, state, _ = plain(small, ["uniform_sampling"], unused, "torch")
        before = {n: w.detach().clone() for n, w in state.supernet.named_parameters()}
        moment = setup.moment(state, "weights")
        (variant,) = setup.composition.variants
        path = variant.active(setup.space, state.architecture, moment)
        weight_step(setup, state)
        told = 0
        cell = state.supernet.blocks[0]
        for edge in range(6):
            for operation, kernel in ((2, 1), (3, 3)):
                if operation in path[edge]:
                    continue
                merged = cell.merged(edge, operation)
                name = next(n for n, w in state.supernet.named_parameters() if w is merged.weight)
                assert f"conv{kernel}" in name
                rows = merged.rows_of(edge)
                torch.testing.assert_close(
                    merged.weight[rows], factor * before[name][rows], rtol=2e-6, atol=0
                )
                told += 1
        assert told >= 6


def test_momentum_of_what_is_left_alone_waits(small):
    setup, state, _ = plain(small, ["uniform_sampling"], "leave", "torch")
    for _ in range(STEPS):
        buffers = {
            id(w): s["momentum_buffer"].clone()
            for w, s in state.weight_optimizer.state.items()
            if s.get("momentum_buffer") is not None
        }
        weight_step(setup, state)
        for weight, rows in state.supernet.portions():
            unused = weight.grad is None or not weight.grad[rows].any()
            if unused and id(weight) in buffers:
                now = state.weight_optimizer.state[weight]["momentum_buffer"]
                assert torch.equal(now[rows], buffers[id(weight)][rows])
        state.step += 1
        state.epoch = state.step // setup.steps_per_epoch


def test_every_stacked_weight_is_divided_whole(small):
    """In the DARTS space too: portions tile the tensors that operations share."""
    for space in (
        {"name": "nb201", "channels": 4, "cells": 1, "affine": True},
        {"name": "darts", "channels": 4, "layers": 3},
    ):
        supernet = registry.parse("spaces", space).supernet(1, 10, 0)
        seen, tensors = {}, {}
        for weight, rows in supernet.portions():
            seen.setdefault(id(weight), []).append((rows.start, rows.stop))
            tensors[id(weight)] = weight
        assert seen
        for key, rows in seen.items():
            rows.sort()
            assert rows[0][0] == 0 and rows[-1][1] == len(tensors[key])
            assert all(a[1] == b[0] for a, b in itertools.pairwise(rows))
