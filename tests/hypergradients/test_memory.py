"""What grows with the horizon grows as documented: counted in live copies of the weights."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.contracts.hypergradient import Hypergradient, InnerStep, Problem, Tensors
from bench.hypergradients.forward import Forward
from bench.hypergradients.reverse import Reverse

SIZE = 1013  # no other tensor has this many entries


def peak(member: Hypergradient, momentum: float) -> int:
    """The most storages of the weight's size alive at any evaluation of the training loss."""
    seen = 0

    def loss(w: Tensors, a: Tensors, batch: Any) -> Tensor:
        nonlocal seen
        alive = {
            thing.data_ptr()
            for thing in gc.get_objects()
            if type(thing) is Tensor and thing.numel() == SIZE
        }
        seen = max(seen, len(alive))
        return torch.sum((w["w"] - a["a"].sum()) ** 2)

    problem = Problem(
        {"w": torch.zeros(SIZE, requires_grad=True)},
        {"a": torch.ones(2, requires_grad=True)},
        loss,
        loss,
        InnerStep(lr=0.01, momentum=momentum),
    )
    gc.collect()
    gc.freeze()  # what lives already is not looked through again at every evaluation
    try:
        member.estimate(problem, [None] * member.horizon, None)
    finally:
        gc.unfreeze()
    return seen


@pytest.mark.parametrize(("momentum", "copies"), [(0.0, 1), (0.9, 2)])
def test_reverse_keeps_one_state_per_kept_step(momentum: float, copies: int) -> None:
    """K states of P weights, of 2 P with momentum; the steps before the kept ones cost nothing."""
    base = peak(Reverse(T=8), momentum)
    assert peak(Reverse(T=24), momentum) - base == 16 * copies
    # One more than T = 8: there the first state is the search's own weights.
    assert peak(Reverse(T=24, K=8), momentum) - base == copies


def test_segments_keep_the_square_root() -> None:
    """64 steps in segments of 8: at most 8 + 8 states instead of 64."""
    base = peak(Reverse(T=1), 0.0)
    assert peak(Reverse(T=64, segment=8), 0.0) - base <= 16
    assert peak(Reverse(T=64), 0.0) - base >= 60


def test_forward_does_not_grow_with_the_horizon() -> None:
    assert peak(Forward(T=4), 0.9) == peak(Forward(T=24), 0.9)
