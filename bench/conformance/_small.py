"""A search that takes a second: what checks of members are run in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bench.conformance import expect
from bench.contracts.variant import Variant
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import Setup, build, initial_state
from bench.search.state import SearchState

BASE: dict[str, Any] = {
    "space": {"name": "nb201", "channels": 4, "cells": 1},
    "data": {"name": "digits", "size": 64},
    "search": {"epochs": 3, "batch": 32, "architecture": {"lr": 3e-2}},
    "device": "cpu",
    "kernel": "torch",
    "ranking": None,
    "selection": "argmax",
    "instruments": ["cell"],
}


def searched(variants: Sequence[Variant] = (), **changes: Any) -> tuple[Setup, SearchState]:
    """Return a search that has ended, and its fixed parts."""
    setup = build(Settings.model_validate({**BASE, **changes}), variants, seed=0)
    state = initial_state(setup)
    search(setup, state)
    return setup, state


def same(first: SearchState, second: SearchState, why: str) -> None:
    """Expect two searches to have ended in the same numbers, bit for bit."""
    for part in ("supernet", "architecture"):
        one, two = first.to_dict()[part], second.to_dict()[part]
        expect(one.keys() == two.keys(), f"{why}: {part} has other names")
        differ = [name for name, value in one.items() if not torch.equal(value, two[name])]
        expect(not differ, f"{why}: {part}.{(differ or [''])[0]} differs")
    # As text: NaN is no other than NaN.
    expect(repr(first.history) == repr(second.history), f"{why}: the histories differ")
