"""What all tests share: small settings, one thread, places that nothing else writes to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"
"""Third-party data that may lie beside the checkout; tests that need it say so when they skip."""

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    """Add the seed of the stress suite, and how much of it is run."""
    parser.addoption("--stress-seed", type=int, default=0, help="draws the faults of tests/stress")
    parser.addoption("--stress-rounds", type=int, default=40, help="changes of each forged file")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    os.environ["BENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small():
    """Return settings of a search that takes a second."""

    def settings(**changes):
        from bench.search.settings import Settings

        base = {
            "space": {"name": "nb201", "channels": 4, "cells": 1},
            "data": {"name": "digits", "size": 128},
            "search": {"epochs": 2, "batch": 32, "architecture": {"lr": 3e-3}},
            "device": "cpu",
            "ranking": None,
            "selection": "argmax",
        }
        return Settings.model_validate({**base, **changes})

    return settings
