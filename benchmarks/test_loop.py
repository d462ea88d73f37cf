"""The loop's own share: what a step spends beside the network, the gradients and the optimisers."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import torch

from bench.contracts.data import Halves, Images
from bench.runs import checkpoint
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state
from benchmarks.ratios import keep

MOST = 0.05
ARITHMETIC = [
    (torch.nn.Module, "__call__"),
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (torch.nn.functional, "cross_entropy"),
    (torch.nn.utils, "clip_grad_norm_"),
    (torch.optim.SGD, "step"),
    (torch.optim.Adam, "step"),
]
"""What any search has to do; all else is the loop's."""


def images(seed):
    """Return a half of CIFAR-10's size and shape, cut to ten steps."""
    draws = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (640, 3, 32, 32), dtype=torch.uint8, generator=draws)
    labels = torch.randint(10, (640,), generator=draws)
    return Images(pixels, labels, 10, (0.5,) * 3, (0.25,) * 3, crop=4, flip=True)


def test_overhead_of_the_loop(benchmark, tmp_path):
    """Sampling, augmentation, hooks, records and a checkpoint per epoch; no evaluation."""
    torch.set_num_threads(1)
    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 8, "cells": 1},
            "data": "digits",
            "search": {"epochs": 2},
            "instruments": ["cell"],
            "ranking": None,
            "device": "cpu",
        }
    )
    setup = replace(build(settings, [], seed=0), data=Halves(images(1), images(2)))
    spent = {"all": 0.0, "arithmetic": 0.0}
    inside = [False]

    def counted(call):
        def run(*arguments, **named):
            if inside[0]:
                return call(*arguments, **named)
            inside[0], start = True, time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                inside[0] = False
                spent["arithmetic"] += time.process_time() - start

        return run

    def whole():
        state = initial_state(setup)
        start = time.process_time()
        search(
            setup,
            state,
            after_epoch=lambda s: checkpoint.save(tmp_path / "c.pt", "benchmark", s.to_dict()),
        )
        spent["all"] += time.process_time() - start

    whole()
    spent["all"] = 0.0
    with ExitStack() as stack:
        for owner, name in ARITHMETIC:
            stack.enter_context(patch.object(owner, name, counted(getattr(owner, name))))
        benchmark.pedantic(whole, rounds=3)
    share = 1 - spent["arithmetic"] / spent["all"]
    keep(benchmark, "of a step is the loop's own", share)
    assert share < MOST
