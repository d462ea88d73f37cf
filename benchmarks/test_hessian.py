"""The largest eigenvalue of the α-Hessian by Lanczos against the whole matrix, in one run.

``pytest benchmarks/test_hessian.py -s``. C=8, N=1, 16x16 (digits, enlarged), batches of 64, one
thread; at the start of a search, where the spectrum is hardest, and after two epochs. Times are CPU
seconds, the two in turn. F is a forward and backward pass with all gradients.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bench.instruments.alpha_hessian import AlphaHessian
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state

LEAST = {4: 3.0, 0: 1.3}
"""How many times faster the one eigenvalue must be, by epochs done."""


class Enlarged(AlphaHessian):
    """On digits at 16x16."""

    def probes(self, setup, state):
        return [
            replace(batch, images=F.interpolate(batch.images, scale_factor=2))
            for batch in super().probes(setup, state)
        ]


def seconds(call):
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


@pytest.mark.parametrize("epochs", LEAST)
def test_lanczos_against_the_matrix(benchmark, epochs):
    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 8, "cells": 1},
            "data": {"name": "digits", "noise": 0.5},
            "search": {"epochs": max(1, epochs), "architecture": {"lr": 3e-3}},
            "device": "cpu",
            "instruments": [],
            "ranking": None,
        }
    )
    torch.set_num_threads(1)
    setup = build(settings, [], seed=0)
    state = initial_state(setup)
    if epochs:
        search(setup, state)
    whole, alone = Enlarged(batches=4), Enlarged(batches=4, mode="lanczos")
    batch = whole.probes(setup, state)[0]
    weights = list(state.supernet.parameters())
    ratios, units, found = [], [], []

    def forward_backward():
        logits = state.supernet(batch.images, setup.mixture(state))
        torch.autograd.grad(F.cross_entropy(logits, batch.labels), weights, allow_unused=True)

    def both():
        unit = min(seconds(forward_backward)[0] for _ in range(3)) * whole.batches
        matrix, all_of_it = seconds(lambda: whole.observe(setup, state))
        one, top = seconds(lambda: alone.observe(setup, state))
        ratios.append(matrix / one)
        units.append((matrix / unit, one / unit))
        found.append((all_of_it, top))

    benchmark.pedantic(both, rounds=2)
    ratio = statistics.median(ratios)
    matrix, one = (statistics.median(column) for column in zip(*units, strict=True))
    all_of_it, top = found[-1]
    exact, near = all_of_it["hessian_eigenvalue_max"], top["hessian_eigenvalue_max"]
    benchmark.extra_info["times the whole matrix"] = round(ratio, 2)
    print(
        f"\nafter {epochs} epochs: {ratio:.1f} times; per batch {matrix:.0f} F the matrix, {one:.0f} F "
        f"the eigenvalue; {near:.6f} for {exact:.6f} ± {all_of_it['hessian_eigenvalue_max_sd']:.4f}"
    )
    assert ratio >= LEAST[epochs]
    assert abs(near - exact) < 0.01 * abs(all_of_it["hessian_eigenvalue_magnitude"])
