"""The search step: the fast supernet against the textbook oracle, in one run.

``tox -e benchmarks`` or ``pytest benchmarks/test_search_step.py``. One pair is a weight step's and an
architecture step's forward and backward pass on batches of 64. Both forms run in turn, so that a
noisy machine slows both; the ratio of medians is what counts.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch.nn import functional as F

from bench import registry
from tests.spaces.textbook import TextbookSupernet

SIZES = [(8, 1, 16), (8, 1, 32), (16, 5, 32)]
REQUIRED = {(8, 1, 32): 1.7}
"""Least ratio to the oracle at a size."""


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


@pytest.mark.parametrize(("channels", "cells", "resolution"), SIZES)
def test_search_step(benchmark, channels, cells, resolution):
    torch.set_num_threads(1)
    space = registry.parse("spaces", {"name": "nb201", "channels": channels, "cells": cells})
    fast = space.supernet(3, 10, seed=0)
    slow = TextbookSupernet(3, 10, channels, cells)
    draws = torch.Generator().manual_seed(0)
    batch = [
        (
            torch.randn(64, 3, resolution, resolution, generator=draws),
            torch.randint(10, (64,), generator=draws),
        )
        for _ in range(2)
    ]
    alpha = torch.zeros(6, 5, requires_grad=True)
    rounds = 3 if cells > 1 else 9
    times: dict[str, list[float]] = {"fast": [], "textbook": []}

    def timed(name, pair, net):
        start = time.perf_counter()
        pair(net, alpha, batch)
        times[name].append(time.perf_counter() - start)

    timed("textbook", textbook_pair, slow)
    timed("fast", fast_pair, fast)
    times = {"fast": [], "textbook": []}
    # The oracle is timed in the setup of every round, so that both see the same machine.
    benchmark.pedantic(
        lambda: timed("fast", fast_pair, fast),
        setup=lambda: timed("textbook", textbook_pair, slow),
        rounds=rounds,
    )
    ratio = statistics.median(times["textbook"]) / statistics.median(times["fast"])
    benchmark.extra_info["times the textbook supernet's speed"] = round(ratio, 2)
    print(
        f"\nC={channels} N={cells} {resolution}x{resolution}: {ratio:.2f} times the textbook's speed"
    )
    assert ratio >= REQUIRED.get((channels, cells, resolution), 1.0)
