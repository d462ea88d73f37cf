"""What every selection rule promises."""

from __future__ import annotations

import copy

import torch

from bench.conformance import Check, expect
from bench.conformance._small import searched
from bench.contracts.selection import Selection


def select(rule: Selection) -> None:
    """Deterministic, a cell of the space, and the state is left as it was."""
    setup, state = searched(ranking={"images": 32, "batch": 32})
    before, stream = copy.deepcopy(state.to_dict()), torch.get_rng_state()
    first, second = rule.select(setup, state), rule.select(setup, state)
    expect(first == second, f"twice from one state it gives {first} and {second}")
    expect(setup.space.decode(setup.space.encode(first)) == first, f"{first} is no cell")
    expect(torch.equal(stream, torch.get_rng_state()), "it draws from torch's global stream")
    after = state.to_dict()
    for part in ("supernet", "architecture"):
        for name, value in before[part].items():
            expect(torch.equal(value, after[part][name]), f"it changes {part}.{name}")
    for part in ("weight_optimizer", "memory", "history"):
        expect(repr(before[part]) == repr(after[part]), f"it changes {part}")


CHECKS: dict[str, Check] = {
    "gives one cell of the space, twice the same, and leaves the state as it was": select
}
