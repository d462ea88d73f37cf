"""On a smooth supernet: reverse, forward, brute force and the Jacobian agree; slope 2 in ε."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.contracts.hypergradient import Hypergradient, InnerStep, Problem, Tensors
from bench.hypergradients._autodiff import validation
from bench.hypergradients._inner import advance, start
from bench.hypergradients.conjugate_gradient import ConjugateGradient
from bench.hypergradients.darts_second_order import DartsSecondOrder
from bench.hypergradients.forward import Forward
from bench.hypergradients.idarts import Idarts
from bench.hypergradients.neumann import Neumann
from bench.hypergradients.one_step_exact import OneStepExact
from bench.hypergradients.reverse import Reverse

from .brute import jacobian_gradient, unrolled_gradient
from .problems import close, flat, images, network, total

INNERS = {
    "plain": InnerStep(lr=0.3),
    "momentum": InnerStep(lr=0.2, momentum=0.9, weight_decay=0.05),
    "nesterov clipped": InnerStep(lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.05, clip=0.3),
    "clip far": InnerStep(lr=0.2, momentum=0.9, clip=1e3),
}


@pytest.mark.parametrize("inner", INNERS.values(), ids=INNERS)
def test_unrolled_agree(inner: InnerStep) -> None:
    """Four ways to one number, relative 1e-10."""
    problem = network(inner)
    *train, valid = images(5)
    expected = flat(unrolled_gradient(problem, train, valid))
    close(flat(jacobian_gradient(problem, train, valid)), expected)
    for member in (Reverse(T=4), Reverse(T=4, segment=2), Forward(T=4)):
        estimate = member.estimate(problem, train, valid)
        close(total(estimate), expected)
        assert float(flat(estimate.implicit).norm()) > 1e-3  # something is being compared
        assert not estimate.flags["diverged"]


@pytest.mark.parametrize("K", [1, 2, 3])
def test_truncation_is_a_cut_graph(K: int) -> None:
    problem = network(INNERS["nesterov clipped"])
    *train, valid = images(5)
    expected = flat(unrolled_gradient(problem, train, valid, kept=K))
    close(total(Reverse(T=4, K=K).estimate(problem, train, valid)), expected)


def test_one_step_is_reverse_with_one_step() -> None:
    """Where neither clipping nor Nesterov is in the way."""
    problem = network(INNERS["momentum"])
    *train, valid = images(2)
    expected = total(Reverse(T=1).estimate(problem, train, valid))
    close(total(OneStepExact().estimate(problem, train, valid)), expected)


def test_finite_difference_has_slope_two() -> None:
    """The error against ε falls with slope 2 ± 0.05 on log-log, over a factor of 16."""
    problem = network(INNERS["momentum"])
    *train, valid = images(2)
    exact = flat(OneStepExact().estimate(problem, train, valid).implicit)
    epsilons = [0.08, 0.04, 0.02, 0.01, 0.005]
    errors = []
    for epsilon in epsilons:
        found = flat(DartsSecondOrder(epsilon=epsilon).estimate(problem, train, valid).implicit)
        errors.append(float((found - exact).norm()))
    slopes = torch.diff(torch.tensor(errors).log()) / torch.diff(torch.tensor(epsilons).log())
    assert bool(((slopes - 2).abs() < 0.05).all()), slopes


def dense(problem: Problem, weights: Tensors, batch: Any) -> tuple[Tensor, Tensor]:
    """H + wd·I and ∂²_λw L_train as matrices, from the gradient's own Jacobian."""
    names, alphas = list(weights), list(problem.architecture)

    def gradient(*values: Tensor) -> Tensor:
        w = dict(zip(names, values[: len(names)], strict=True))
        a = dict(zip(alphas, values[len(names) :], strict=True))
        loss = problem.train_loss(w, a, batch)
        found = torch.autograd.grad(
            loss, list(w.values()), create_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([g.reshape(-1) for g in found])

    leaves = [w.detach().requires_grad_() for w in weights.values()]
    J = torch.autograd.functional.jacobian(gradient, (*leaves, *problem.architecture.values()))
    blocks = [block.reshape(block.shape[0], -1) for block in J]
    H = torch.cat(blocks[: len(names)], 1)
    mixed = torch.cat(blocks[len(names) :], 1)
    # SGD does not decay a weight without a gradient, so it has no curvature either.
    decayed = torch.cat([torch.full((w.numel(),), float(n != "idle")) for n, w in weights.items()])
    return H + problem.inner.weight_decay * torch.diag(decayed.double()), mixed.T


@pytest.mark.parametrize("member", [Neumann(K=4, a=0.1), Idarts(T=3, K=4, a=0.1)], ids=str)
def test_implicit_against_dense_matrices(member: Hypergradient) -> None:
    problem = network(INNERS["nesterov clipped"])
    *train, valid = images(1 + member.horizon)
    state = start(problem)
    if isinstance(member, Idarts):
        for batch in train:
            state = advance(problem, state, batch)
    v, direct = (flat(part) for part in validation(problem, state[0], valid))
    H, mixed = dense(problem, state[0], train[-1])
    q = sum(0.1 * torch.linalg.matrix_power(torch.eye(len(H)) - 0.1 * H, j) @ v for j in range(4))
    close(total(member.estimate(problem, train, valid)), direct - mixed @ q)


def test_conjugate_gradient_against_dense_matrices() -> None:
    """With damping above the most negative eigenvalue the solve is a plain linear system."""
    problem = network(INNERS["plain"])
    *train, valid = images(2)
    v, direct = (flat(part) for part in validation(problem, problem.weights, valid))
    H, mixed = dense(problem, problem.weights, train[0])
    lowest = float(torch.linalg.eigvalsh(H)[0])
    assert lowest < 0  # a network away from its minimum: undamped, the solve must say so
    assert ConjugateGradient(k=80).estimate(problem, train, valid).flags["indefinite"] == 1.0
    damping = 0.5 - lowest
    q = torch.linalg.solve(H + damping * torch.eye(len(H), dtype=H.dtype), v)
    estimate = ConjugateGradient(k=40, damping=damping).estimate(problem, train, valid)
    assert estimate.flags["indefinite"] == 0.0
    close(total(estimate), direct - mixed @ q)
