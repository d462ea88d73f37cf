"""The compiled cell equals PyTorch's path: values, every gradient, and derivatives of those."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.instruments._memory import peak_bytes
from bench.spaces.nb201 import fused, native
from bench.spaces.nb201.mixed_cell import MixedCell
from tests.spaces.textbook import TextbookSupernet

pytestmark = pytest.mark.skipif(not fused.available(), reason="needs a C++ compiler")
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}

ACTIVE = {
    "all": None,
    "no none": [[1, 2, 3, 4]] * 6,
    "one path": [[3], [1], [2], [4], [3], [2]],
    "dead edges": [[0], [3], [2, 3], [1], [4], [2, 3]],  # node 1 gets nothing
    "dead end": [[2, 3], [1], [0], [3, 4], [0], [2]],  # node 1 leads nowhere
    "ragged": [[0, 1], [3, 4], [0], [], [1, 2, 3, 4], [3]],
    "no convolution": [[1], [4], [0, 1], [4], [1, 4], [1]],
    "nothing": [[0]] * 6,
}


def problem(channels=4, resolution=8, batch=5, dtype=torch.float64, cells=1, **space):
    draws = torch.Generator().manual_seed(3)
    space = registry.parse(
        "spaces", {"name": "nb201", "channels": channels, "cells": cells, **space}
    )
    supernet = space.supernet(3, 10, seed=0).to(dtype)
    images = torch.randn(batch, 3, resolution, resolution, generator=draws, dtype=torch.float64)
    labels = torch.randint(10, (batch,), generator=draws)
    alpha = torch.randn(6, 5, generator=draws, dtype=torch.float64)
    return supernet, images.to(dtype), labels, alpha.to(dtype).requires_grad_()


def loss_of(supernet, images, labels, alpha, active=None, compiled=True):
    supernet.compiled = compiled
    rest = () if active is None else (active,)
    return F.cross_entropy(supernet(images, alpha.softmax(-1), *rest), labels)


def both(supernet, images, labels, alpha, active=None, wanted=None):
    """Return loss and gradients by the kernel and by PyTorch; by default all gradients."""
    wanted = [alpha, *supernet.parameters()] if wanted is None else wanted
    results = []
    for compiled in (True, False):
        loss = loss_of(supernet, images, labels, alpha, active, compiled)
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
        results.append([loss.detach(), *found])
    return results


def assert_equal(found, expected, **tolerance):
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)  # SGD leaves a weight without gradient alone
        if mine is not None:
            torch.testing.assert_close(mine, theirs, **(tolerance or TOLERANCE))


@pytest.fixture
def calls(monkeypatch):
    """Record what the kernel was called for: (name, tensors)."""
    seen, call = [], native.call

    def recorded(name, dtype, channels, shape, tensors):
        seen.append((name, tensors))
        call(name, dtype, channels, shape, tensors)

    monkeypatch.setattr(native, "call", recorded)
    return seen


@pytest.mark.parametrize("active", ACTIVE.values(), ids=ACTIVE)
def test_loss_and_every_gradient_for_active_subsets(active, calls):
    found, expected = both(*problem(), active=active)
    assert_equal(found, expected)
    assert bool(calls) == (active != [[0]] * 6)


@pytest.mark.parametrize(
    ("channels", "resolution", "batch"),
    [
        (4, 4, 7),
        (4, 12, 3),
        (8, 16, 1),
        (12, 8, 4),
        (4, 32, 2),
        (1, 8, 3),
        (2, 8, 3),
        (3, 8, 2),
        (6, 8, 3),
    ],
)
def test_sizes(channels, resolution, batch, calls):
    """Last stages of one and of three pixels, groups of images that do not come out even."""
    found, expected = both(*problem(channels, resolution, batch))
    assert_equal(found, expected)
    assert len(calls) == 6


def test_float32_is_as_exact_as_pytorch_to_a_small_factor():
    supernet, images, labels, alpha = problem(8, 16, 16)
    exact = both(supernet, images, labels, alpha)[1]
    supernet.float()
    alpha = alpha.detach().float().requires_grad_()
    for mine, theirs, truth in zip(
        *both(supernet, images.float(), labels, alpha), exact, strict=True
    ):
        error, usual = ((x.double() - truth).norm() / truth.norm() for x in (mine, theirs))
        assert error < 10 * usual + 1e-6


def test_only_what_is_asked_for_is_computed(calls):
    supernet, images, labels, alpha = problem()
    found, expected = both(supernet, images, labels, alpha, wanted=[alpha])
    assert_equal(found, expected)
    backward = [tensors for name, tensors in calls if name == "backward"]
    assert len(backward) == 3
    for tensors in backward:
        assert not any(w is not None for w in tensors["dweights"])
    assert backward[-1]["gradients"][0] is None  # nothing before the first cell depends on alpha

    calls.clear()
    weights = list(supernet.parameters())
    assert_equal(*both(supernet, images, labels, alpha.detach(), wanted=weights))
    backward = [tensors for name, tensors in calls if name == "backward"]
    assert all(w is not None for tensors in backward for w in tensors["dweights"])


def test_backward_fills_grad_as_pytorch_does():
    supernet, images, labels, alpha = problem()
    grads = []
    for compiled in (True, False):
        supernet.zero_grad()
        loss_of(supernet, images, labels, alpha, compiled=compiled).backward()
        grads.append([p.grad for p in supernet.parameters()])
    assert_equal(*grads)


def test_the_number_of_threads_changes_no_bit():
    torch.set_num_threads(1)
    case = problem(8, 16, 13, torch.float32)
    one = both(*case)[0]
    try:
        torch.set_num_threads(3)
        for _ in range(2):
            cells_only = [block for block in case[0].blocks if isinstance(block, MixedCell)]
            assert cells_only
            x = torch.randn(13, 8, 16, 16, generator=torch.Generator().manual_seed(0))
            mixture = case[3].detach().softmax(-1)
            many = fused.mixed(cells_only[0], x, mixture, None)
            torch.set_num_threads(1)
            assert torch.equal(many, fused.mixed(cells_only[0], x, mixture, None))
            torch.set_num_threads(3)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(one, both(*case)[0], strict=True))


def test_first_and_second_derivatives_equal_differences():
    supernet, *_ = problem(affine=True)
    cell = supernet.blocks[0]
    draws = torch.Generator().manual_seed(5)
    x = torch.randn(3, 4, 4, 4, dtype=torch.float64, generator=draws)
    mixture = torch.rand(6, 5, dtype=torch.float64, generator=draws)
    ends = torch.rand(3, 6, 3, dtype=torch.float64, generator=draws)
    inputs = [x, mixture, ends]
    for merged in cell.merged_convolutions:
        inputs += [part.detach().clone() for part in (merged.weight, merged.scale, merged.shift)]
    todo, nothing = fused.plan(cell, x, None, None, 0)
    done = replace(nothing, ends=ends)

    def run(x, *rest):
        x = x.contiguous(memory_format=torch.channels_last)
        return fused._Cell.apply(cell, todo, done, x, *rest).contiguous()

    inputs = [part.requires_grad_() for part in inputs]
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("vectorize", [False, True])
def test_hessian_equals_pytorch(vectorize, calls):
    supernet, images, labels, alpha = problem(resolution=4, batch=3)
    hessians = [
        torch.autograd.functional.hessian(
            lambda a, c=compiled: loss_of(supernet, images, labels, a, compiled=c),
            alpha.detach(),
            vectorize=vectorize,
        ).reshape(30, 30)
        for compiled in (True, False)
    ]
    torch.testing.assert_close(*hessians, **TOLERANCE)
    assert hessians[0].abs().max() > 1e-5 and calls


def test_mixed_second_derivatives_in_the_weights_equal_pytorch():
    supernet, images, labels, alpha = problem()
    results = []
    for compiled in (True, False):
        loss = loss_of(supernet, images, labels, alpha, compiled=compiled)
        weights = list(supernet.parameters())
        first = torch.autograd.grad(loss, weights, create_graph=True)
        results.append(torch.autograd.grad(sum((g**2).sum() for g in first), [alpha, *weights]))
    assert_equal(*results)


def test_many_gradients_at_once_equal_pytorch():
    supernet, images, _, alpha = problem()
    results = []
    for compiled in (True, False):
        supernet.compiled = compiled
        logits = supernet(images, alpha.softmax(-1))
        directions = torch.eye(10, dtype=torch.float64)[:, None].expand(10, len(images), 10)
        results.append(torch.autograd.grad(logits, [alpha], directions, is_grads_batched=True))
    assert_equal(*results)


def test_forward_mode_and_functorch_run_in_pytorch(calls):
    supernet, images, labels, alpha = problem()
    supernet.compiled = True

    def loss(a):
        return F.cross_entropy(supernet(images, a.softmax(-1)), labels)

    direction = torch.ones_like(alpha)
    point = alpha.detach()
    _, tangent = torch.func.jvp(loss, (point,), (direction,))
    gradient = torch.func.grad(loss)(point)
    with torch.autograd.forward_ad.dual_level():
        dual = loss(torch.autograd.forward_ad.make_dual(point, direction))
        other = torch.autograd.forward_ad.unpack_dual(dual).tangent
    assert not calls
    torch.testing.assert_close(tangent, (gradient * direction).sum(), **TOLERANCE)
    torch.testing.assert_close(other, tangent, **TOLERANCE)


@pytest.mark.parametrize(
    "space",
    [{"affine": True}, {"running_statistics": True}, {"affine": True, "running_statistics": True}],
)
@pytest.mark.parametrize("active", [None, ACTIVE["ragged"], ACTIVE["nothing"]])
@pytest.mark.parametrize("training", [True, False])
def test_learned_scales_and_running_statistics(space, active, training, calls):
    supernet, images, labels, alpha = problem(**space)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in (*supernet.parameters(), *supernet.buffers()):
            if part.is_floating_point():
                part += 0.2 * torch.rand(part.shape, generator=draws, dtype=torch.float64)
    supernet.train(training)
    before, after = [b.clone() for b in supernet.buffers()], []
    results = []
    for compiled in (True, False):
        loss = loss_of(supernet, images, labels, alpha, active, compiled)
        wanted = [alpha, *supernet.parameters()]
        results.append([loss.detach(), *torch.autograd.grad(loss, wanted, allow_unused=True)])
        after.append([b.clone() for b in supernet.buffers()])
        for buffer, value in zip(supernet.buffers(), before, strict=True):
            buffer.copy_(value)
    assert_equal(*results)
    assert_equal(*after)
    moved = any(not torch.equal(a, b) for a, b in zip(after[0], before, strict=True))
    assert moved == (training and "running_statistics" in space)
    assert bool(calls) == (active != ACTIVE["nothing"])


def test_statistics_of_the_first_images_alone(calls):
    supernet, images, _, alpha = problem(running_statistics=True)
    with torch.no_grad(), supernet.statistics_from(2):
        results = []
        for supernet.compiled in (True, False):
            results.append(supernet(images, alpha.softmax(-1)))
    torch.testing.assert_close(*results, **TOLERANCE)
    assert len(calls) == 3


def test_what_the_kernel_does_not_know_runs_in_pytorch(calls):
    supernet, images, _, alpha = problem(8)
    supernet.compiled = True
    with torch.autocast("cpu", torch.bfloat16):
        supernet.float()(images.float(), alpha.float().softmax(-1))
    assert not calls
    supernet(images.float(), alpha.float().softmax(-1))
    assert calls


def test_not_a_number_is_not_swept_away():
    supernet, images, labels, alpha = problem()
    images[0, 0, 0, 0] = float("nan")
    only = [[2, 3]] * 6  # no skip connection or pool that would carry it along
    assert torch.isnan(loss_of(supernet, images, labels, alpha, only))


def test_keeps_little_of_what_the_textbook_form_keeps():
    fast, images, labels, alpha = problem(8, 16, 8, torch.float32)
    slow = TextbookSupernet(3, 10, 8, 1)
    peaks = [
        peak_bytes(lambda n=net: loss_of(n, images, labels, alpha).backward(), torch.device("cpu"))
        for net in (fast, slow)
    ]
    assert peaks[0] < 0.4 * peaks[1]
