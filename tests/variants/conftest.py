"""A search of three one-step epochs, shared by all tests here: data and space are built once."""

from dataclasses import replace

import pytest
import torch

from bench.contracts import registry
from bench.contracts.moment import Moment
from bench.search.composition import Composition
from bench.search.settings import Settings
from bench.search.setup import build, initial_state


@pytest.fixture(scope="session")
def tiny():
    """Return a function that gives a setup and its initial state for variants and settings."""
    base = {
        "space": {"name": "nb201", "channels": 4, "cells": 1},
        "data": {"name": "digits", "size": 64},
        "search": {"epochs": 3, "batch": 32, "architecture": {"lr": 3e-2}},
        "device": "cpu",
        "ranking": None,
        "selection": "argmax",
        "instruments": ["cell"],
    }
    plain = build(Settings.model_validate(base), [], seed=0)

    def make(*variants, seed=0, **search):
        found = [registry.parse("variants", v) for v in variants]
        settings = Settings.model_validate({**base, "search": {**base["search"], **search}})
        composition = Composition(found, plain.space)
        setup = replace(plain, settings=settings, composition=composition, seed=seed)
        return setup, initial_state(setup)

    return make


@pytest.fixture
def at():
    """Return a function that gives a moment."""

    def moment(epoch=0, epochs=50, phase="weights", step=None, memory=None, part=0):
        step = epoch if step is None else step
        return Moment(0, epoch, step, epochs, 1, phase, torch.device("cpu"), memory or {}, part)

    return moment
