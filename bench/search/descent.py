"""One step of either optimiser: weights whatever operations the step has run, and the architecture.

Convolutions that read one node are stacked in one tensor. What a step does to an operation that it
did not run must not depend on what it is stacked with, nor on whether a kernel gives zeros or nothing
for its gradient; so it is said here, operation by operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Portion, Supernet

if TYPE_CHECKING:
    from bench.search.composition import Composition

Unused = Literal["decay", "leave"]


@torch.no_grad()
def step_weights(
    optimizer: torch.optim.SGD,
    supernet: Supernet,
    unused: Unused,
    held: Sequence[Portion] = (),
) -> None:
    """Step all weights, those that the loss did not reach in the way that ``unused`` names.

    What is ``held`` stays as it is, and so does its momentum, whatever its gradient.

    ``decay``
        Momentum and weight decay act on them: their gradient is zero.
    ``leave``
        Neither does; their momentum waits as it is. Unused is whatever has a gradient of zeros.
    """
    weights: list[Tensor] = list(supernet.named.values())
    kept = [_kept(optimizer, weight, rows) for weight, rows in held]
    if unused == "decay":
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        _ready(optimizer, weights)
        optimizer.step()
        _restore(optimizer, kept)
        return
    stacked = {id(weight) for weight, _ in supernet.portions()}
    for weight in weights:
        if id(weight) not in stacked and weight.grad is not None and not weight.grad.any():
            weight.grad = None
    kept += [
        _kept(optimizer, weight, rows)
        for weight, rows in supernet.portions()
        if weight.grad is not None and not weight.grad[rows].any()
    ]
    _ready(optimizer, weights)
    optimizer.step()
    _restore(optimizer, kept)


Kept = tuple[Tensor, slice, Tensor, Tensor | None]


def _kept(optimizer: torch.optim.SGD, weight: Tensor, rows: slice) -> Kept:
    buffer = optimizer.state[weight].get("momentum_buffer")
    return weight, rows, weight[rows].clone(), None if buffer is None else buffer[rows].clone()


def _restore(optimizer: torch.optim.SGD, kept: Sequence[Kept]) -> None:
    for weight, rows, value, before in kept:
        weight[rows] = value
        buffer = optimizer.state[weight].get("momentum_buffer")
        if buffer is not None:
            buffer[rows] = 0.0 if before is None else before


def _ready(optimizer: torch.optim.SGD, weights: list[Tensor]) -> None:
    """Bring gradients and momenta into the form that PyTorch's fused step takes for granted.

    It walks through memory: a gradient that was set by hand must lie as its weight does. And it
    wants a momentum of every weight or of none, where some got their first gradient after others
    did: μ·0 + g is what momentum begins with.
    """
    momentum = optimizer.param_groups[0]["momentum"]
    for weight in weights:
        if weight.grad is None:
            continue
        if weight.grad.stride() != weight.stride():
            weight.grad = torch.empty_like(weight).copy_(weight.grad)
        if momentum and optimizer.state[weight].get("momentum_buffer") is None:
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


@torch.no_grad()
def step_architecture(
    optimizer: torch.optim.Adam,
    architecture: dict[str, Tensor],
    composition: Composition,
    moment: Moment,
) -> None:
    """Step the architecture down its gradients, and to where variants say that this leads."""
    if not composition.steers:
        optimizer.step()
        return
    before = {name: value.detach().clone() for name, value in architecture.items()}
    gradients = {n: v.grad for n, v in architecture.items() if v.grad is not None}
    optimizer.step()
    after = {name: value.detach().clone() for name, value in architecture.items()}
    for name, value in composition.step_architecture(before, after, gradients, moment).items():
        architecture[name].copy_(value)
