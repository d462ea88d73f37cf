"""The inner update map Φ: clip, weight decay, momentum, step, as ``torch.optim.SGD`` does them.

The gradient of the training loss is taken in one place (`step_gradient`) and the arithmetic on it
in another (`update`): estimators differentiate the second on its own where that is cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.contracts.hypergradient import InnerStep, Problem, Tensors
from bench.hypergradients._autodiff import leaves

State = tuple[Tensors, Tensors]
"""Weights and momentum: the state of the inner problem is the pair. Without momentum (μ = 0) the
second is empty, as the optimiser then keeps no buffer and a stored state need not either."""


def start(problem: Problem) -> State:
    """Return the present state, detached, with zeros for the momentum that is absent."""
    weights = {name: weight.detach() for name, weight in problem.weights.items()}
    if not problem.inner.momentum:
        return weights, {}
    momentum = {
        name: problem.momentum[name].detach() if name in problem.momentum else torch.zeros_like(w)
        for name, w in weights.items()
    }
    return weights, momentum


def step_gradient(
    problem: Problem, weights: Tensors, batch: Any, *, create_graph: bool = False
) -> Tensors:
    """Return ∂_w L_train for the weights that have one.

    A weight outside the loss's graph is left out, not zero: its ``.grad`` would be None, and
    ``torch.optim.SGD`` then applies neither weight decay nor momentum to it.
    """
    loss = problem.train_loss(weights, problem.architecture, batch)
    found: Sequence[Tensor | None] = torch.autograd.grad(
        loss, list(weights.values()), create_graph=create_graph, allow_unused=True
    )
    return {
        name: gradient
        for name, gradient in zip(weights, found, strict=True)
        if gradient is not None
    }


def update(inner: InnerStep, weights: Tensors, momentum: Tensors, gradients: Tensors) -> State:
    """Apply Φ to a state and a gradient; differentiable in all three.

    Weights without a gradient keep their value and their momentum.
    """
    if inner.clip is not None and gradients:
        gradients = clip(gradients, inner.clip)
    new_weights, new_momentum = dict(weights), dict(momentum)
    for name, gradient in gradients.items():
        decayed = gradient + inner.weight_decay * weights[name]
        step = decayed
        if inner.momentum:
            new_momentum[name] = inner.momentum * momentum[name] + decayed
            step = new_momentum[name]
            if inner.nesterov:
                step = decayed + inner.momentum * step
        new_weights[name] = weights[name] - inner.lr * step
    return new_weights, new_momentum


def clip(gradients: Tensors, limit: float) -> Tensors:
    """Scale the global norm to at most ``limit``, with the 1e-6 of ``clip_grad_norm_``."""
    norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()])
    scale = torch.clamp(limit / (torch.linalg.vector_norm(norms) + 1e-6), max=1.0)
    return {name: gradient * scale for name, gradient in gradients.items()}


def update_tangent(
    inner: InnerStep, weights: Tensors, momentum: Tensors, gradients: Tensors, along: Tensors
) -> State:
    """Return the tangent of Φ for tangents of its state and, ``along``, of its gradient.

    Without clipping Φ is linear in the three, hence its own tangent; so only the clipping of
    ``gradients`` needs differentiating.
    """
    if inner.clip is not None and gradients:
        size = math.sqrt(sum(float(torch.sum(g * g)) for g in gradients.values()))
        if inner.clip < size + 1e-6:
            scale = inner.clip / (size + 1e-6)
            growth = sum(float(torch.sum(g * along[name])) for name, g in gradients.items()) / size
            slope = -scale / (size + 1e-6) * growth
            along = {name: scale * along[name] + slope * g for name, g in gradients.items()}
    return update(replace(inner, clip=None), weights, momentum, along)


def advance(problem: Problem, state: State, batch: Any) -> State:
    """Make one inner step and forget how: Φ without a graph."""
    weights, momentum = state
    weights = leaves(weights)
    gradient = step_gradient(problem, weights, batch)
    with torch.no_grad():
        return update(problem.inner, weights, momentum, gradient)


def trajectory(problem: Problem, state: State, train: Sequence[Any]) -> Iterator[State]:
    """Yield the states before every batch and, last, the one after the last."""
    yield state
    for batch in train:
        state = advance(problem, state, batch)
        yield state


def darts_step(problem: Problem, gradients: Tensors) -> Tensors:
    """Return DARTS's own w′ = w − η(μm + ∂_w L_train + wd·w): no clipping, no Nesterov."""
    return update(
        InnerStep(
            lr=problem.inner.lr,
            momentum=problem.inner.momentum,
            weight_decay=problem.inner.weight_decay,
        ),
        *start(problem),
        {name: gradient.detach() for name, gradient in gradients.items()},
    )[0]


def check_batches(wanted: int, train: Sequence[Any]) -> None:
    """Refuse a wrong number of training batches.

    Raises
    ------
    ValueError
        When ``train`` does not hold exactly ``wanted`` batches.
    """
    if len(train) != wanted:
        raise ValueError(f"the estimator asks for {wanted} training batches, got {len(train)}")
