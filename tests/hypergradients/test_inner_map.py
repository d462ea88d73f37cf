"""The inner map Φ is clip_grad_norm_ and torch.optim.SGD, to 1e-12."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.contracts.hypergradient import InnerStep
from bench.hypergradients._inner import advance, start

from .problems import images, network

SETTINGS = [
    InnerStep(lr=0.2, momentum=momentum, nesterov=nesterov, weight_decay=decay, clip=clip)
    for momentum, nesterov, decay, clip in itertools.product(
        (0.0, 0.9), (False, True), (0.0, 0.05), (None, 0.1, 1e6)
    )
    if momentum or not nesterov
]


@pytest.mark.parametrize("inner", SETTINGS, ids=str)
def test_steps_equal_the_optimiser(inner: InnerStep) -> None:
    """Three steps, with a weight that no loss reaches and one whose gradient is zero."""
    problem = network(inner)
    parameters = {n: torch.nn.Parameter(w.detach().clone()) for n, w in problem.weights.items()}
    optimiser = torch.optim.SGD(
        parameters.values(),
        lr=inner.lr,
        momentum=inner.momentum,
        nesterov=inner.nesterov,
        weight_decay=inner.weight_decay,
    )
    for name, buffer in problem.momentum.items():
        optimiser.state[parameters[name]]["momentum_buffer"] = buffer.clone()

    state = start(problem)
    for batch in images(3):
        state = advance(problem, state, batch)
        optimiser.zero_grad()
        problem.train_loss(parameters, problem.architecture, batch).backward()
        if inner.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters.values(), inner.clip)
        optimiser.step()
        for name, parameter in parameters.items():
            torch.testing.assert_close(state[0][name], parameter.detach(), rtol=0, atol=1e-12)
            buffer = optimiser.state[parameter].get("momentum_buffer")
            if inner.momentum and buffer is not None:
                torch.testing.assert_close(state[1][name], buffer, rtol=0, atol=1e-12)
    assert torch.equal(state[0]["idle"], problem.weights["idle"])  # no gradient: no decay either
    for alpha in problem.architecture.values():
        alpha.grad = None
