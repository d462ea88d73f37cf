"""The search step: the fast supernet against the textbook oracle, in one run.

``python -m benchmarks`` or ``pytest benchmarks/test_search_step.py``. One pair is a weight step's and an
architecture step's gradients on batches of 64, first-order or by DARTS's unrolled step. Both forms
run in turn, so that a noisy machine slows both; the ratio of medians is what counts. Memory is the
high-water mark of a process of its own above what it held before.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.hypergradient import InnerStep, Problem
from benchmarks.ratios import alternate, keep
from tests.spaces.textbook import TextbookSupernet

SIZES = [(4, 3, 8), (4, 1, 16), (8, 1, 16), (8, 1, 32), (16, 5, 32)]
LEAST = {"compiled": 3.5, "torch": 1.5}
"""Least ratio to the oracle's speed, with the kernel and by PyTorch alone."""
MOST_MEMORY = 0.4
RATE = 0.025


def fast_pair(net, alpha, batch):
    """Take both updates' gradients, each asking only for what it needs."""
    (x, y), (u, v) = batch
    fixed = alpha.detach().softmax(-1)
    torch.autograd.grad(F.cross_entropy(net(x, fixed), y), list(net.parameters()))
    torch.autograd.grad(F.cross_entropy(net(u, alpha.softmax(-1)), v), [alpha])


def textbook_pair(net, alpha, batch):
    """Take both updates' gradients by backward(), as textbook code does."""
    for x, y in batch:
        F.cross_entropy(net(x, alpha.softmax(-1)), y).backward()
        net.zero_grad()
        alpha.grad = None


def fast_unrolled(net, alpha, batch):
    """Take the weights' gradient and `darts_second_order`'s estimate."""
    (x, y), _ = batch
    loss = F.cross_entropy(net(x, alpha.detach().softmax(-1)), y)
    torch.autograd.grad(loss, list(net.parameters()))

    def loss_of(weights, architecture, batch):
        arguments = (batch[0], architecture["alpha"].softmax(-1))
        return F.cross_entropy(functional_call(net, weights, arguments), batch[1])

    weights = dict(net.named_parameters())
    problem = Problem(weights, {"alpha": alpha}, loss_of, loss_of, InnerStep(RATE))
    registry.parse("hypergradients", "darts_second_order").estimate(problem, batch[:1], batch[1])


def textbook_unrolled(net, alpha, batch):
    """Do the same by backward() and by moving the weights, as the authors' code does."""
    train, valid = batch
    weights = list(net.parameters())

    def backward(images, labels):
        net.zero_grad()
        alpha.grad = None
        F.cross_entropy(net(images, alpha.softmax(-1)), labels).backward()
        return [w.grad.clone() for w in weights], alpha.grad.clone()

    @torch.no_grad()
    def move(along, scale):
        for w, d in zip(weights, along, strict=True):
            w.add_(d, alpha=scale)

    backward(*train)
    gradient, _ = backward(*train)
    move(gradient, -RATE)
    v, direct = backward(*valid)
    move(gradient, RATE)
    epsilon = 0.01 / float(torch.cat([part.flatten() for part in v]).norm())
    move(v, epsilon)
    _, plus = backward(*train)
    move(v, -2 * epsilon)
    _, minus = backward(*train)
    move(v, epsilon)
    return direct - RATE * (plus - minus) / (2 * epsilon)


def case(form, channels, cells, resolution):
    """Return a net, alpha and two batches."""
    draws = torch.Generator().manual_seed(0)
    if form == "textbook":
        net = TextbookSupernet(3, 10, channels, cells)
    else:
        space = registry.parse("spaces", {"name": "nb201", "channels": channels, "cells": cells})
        net = space.supernet(3, 10, seed=0)
        net.compiled = form == "compiled"
        if net.compiled and not net.prepare_kernel():
            pytest.skip("needs a C++ compiler")
    batch = [
        (
            torch.randn(64, 3, resolution, resolution, generator=draws),
            torch.randint(10, (64,), generator=draws),
        )
        for _ in range(2)
    ]
    return net, torch.zeros(6, 5, requires_grad=True), batch


@pytest.mark.parametrize("form", ["compiled", "torch"])
@pytest.mark.parametrize(("channels", "cells", "resolution"), SIZES)
def test_first_order_step(benchmark, channels, cells, resolution, form):
    size = (channels, cells, resolution)
    ratio = alternate(
        benchmark,
        partial(fast_pair, *case(form, *size)),
        partial(textbook_pair, *case("textbook", *size)),
        2 if cells > 1 else 9,
        "times the textbook's speed",
    )
    assert ratio >= LEAST[form]


@pytest.mark.parametrize(("channels", "cells", "resolution"), SIZES)
def test_second_order_step(benchmark, channels, cells, resolution):
    size = (channels, cells, resolution)
    ratio = alternate(
        benchmark,
        partial(fast_unrolled, *case("compiled", *size)),
        partial(textbook_unrolled, *case("textbook", *size)),
        1 if cells > 1 else 5,
        "times the textbook's speed",
    )
    assert ratio >= LEAST["compiled"]


def high_water(form, *size):
    """Print the bytes by which two steps raise this process's high-water mark."""
    torch.set_num_threads(1)
    net, alpha, batch = case(form, *size)
    pair = textbook_pair if form == "textbook" else fast_pair
    pair(net, alpha, [(x[:2], y[:2]) for x, y in batch])  # loads and makes what any size needs
    before = kilobytes("VmRSS")
    for _ in range(2):
        pair(net, alpha, batch)
    print((kilobytes("VmHWM") - before) * 1024)


def kilobytes(field):
    """Read a field of this process's status; `getrusage` would give its parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def measured(form, *size):
    """Run `high_water` in a process of its own."""
    code = f"from benchmarks.test_search_step import high_water; high_water({form!r}, *{size})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("form", ["compiled", "torch"])
@pytest.mark.parametrize(("channels", "cells", "resolution"), SIZES)
def test_peak_memory_of_a_step(benchmark, channels, cells, resolution, form):
    size = (channels, cells, resolution)
    case(form, *size)  # compiles, or skips
    naive, own = measured("textbook", *size), measured(form, *size)
    keep(benchmark, "of the textbook's peak memory", own / naive)
    keep(benchmark, "MB at its peak", own / 1e6)
    if form == "compiled":
        assert own / naive <= MOST_MEMORY
