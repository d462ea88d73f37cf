"""What every estimator of the hypergradient promises, as far as its formula need not be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.conformance import Check, expect
from bench.conformance._small import searched
from bench.contracts import registry
from bench.contracts.hypergradient import Hypergradient, InnerStep, Problem, Tensors


def _flat(tensors: Tensors) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])


def quadratic(coupled: bool) -> tuple[Problem, list[Any], Any, Tensor]:
    """Return g = ½wᵀHw − wᵀ(Bλ + c), f = ½‖w − t‖² + ½‖Mλ‖², batches, and ∇F for B = 0."""
    g = torch.Generator().manual_seed(0)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    Q = torch.linalg.qr(randn(6, 6))[0]
    H = Q @ torch.diag(torch.linspace(0.5, 2, 6, dtype=torch.float64)) @ Q.T
    B, c, M, t, lam, w = randn(6, 4) * coupled, randn(6), randn(4, 4), randn(6), randn(4), randn(6)

    def train_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        v = _flat(weights)
        loss: Tensor = 0.5 * v @ H @ v - v @ (B @ _flat(architecture) + c)
        return loss

    def valid_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        away, known = _flat(weights) - t, M @ _flat(architecture)
        loss: Tensor = 0.5 * (away @ away + known @ known)
        return loss

    def leaf(value: Tensor) -> Tensor:
        return value.clone().requires_grad_()

    problem = Problem(
        weights={"u": leaf(w[:4]), "v": leaf(w[4:])},
        architecture={"normal": leaf(lam[:3]), "reduce": leaf(lam[3:])},
        train_loss=train_loss,
        valid_loss=valid_loss,
        inner=InnerStep(lr=0.2, weight_decay=0.05),
    )
    return problem, [object()] * 64, object(), M.T @ M @ lam


def pure(member: Hypergradient) -> None:
    """Weights, architecture, their gradients and the global stream are as they were."""
    problem, batches, valid, _ = quadratic(coupled=True)
    before, stream = {n: w.clone() for n, w in problem.weights.items()}, torch.get_rng_state()
    first = member.estimate(problem, batches[: member.horizon], valid)
    second = member.estimate(problem, batches[: member.horizon], valid)
    expect(torch.equal(stream, torch.get_rng_state()), "it draws from torch's global stream")
    for name, weight in problem.weights.items():
        expect(torch.equal(before[name], weight), f"it changes the weight {name}")
        expect(weight.grad is None, f"it leaves a gradient in {name}")
    for name, one in problem.architecture.items():
        expect(one.grad is None, f"it leaves a gradient in {name}")
        expect(name in first.total, f"{name} has no gradient")
        expect(first.total[name].shape == one.shape, f"the gradient of {name} has another shape")
        expect(torch.equal(first.total[name], second.total[name]), "twice it gives two gradients")


def exact_where_nothing_is_implicit(member: Hypergradient) -> None:
    """Where the training loss knows nothing of λ, the gradient is ∂L_val/∂λ, to 1e-9."""
    problem, batches, valid, expected = quadratic(coupled=False)
    found = _flat(member.estimate(problem, batches[: member.horizon], valid).total)
    error = float((found - expected).norm() / expected.norm())
    expect(error < 1e-9, f"relative error {error:.1e}")


def scales(member: Hypergradient) -> None:
    """A validation loss of twice the size has twice the gradient."""
    problem, batches, valid, _ = quadratic(coupled=True)
    own = problem.valid_loss
    twice = replace(problem, valid_loss=lambda w, a, batch: 2 * own(w, a, batch))
    one, two = (
        _flat(member.estimate(p, batches[: member.horizon], valid).total) for p in (problem, twice)
    )
    error = float((two - 2 * one).norm() / one.norm())
    expect(error < 1e-4, f"relative error {error:.1e}")


def searches(member: Hypergradient) -> None:
    """A search with it ends in finite numbers."""
    _, state = searched(hypergradient=registry.dump(member))
    expect(bool(torch.isfinite(state.architecture["alpha"]).all()), "alpha is not finite")


def priced(member: Hypergradient) -> None:
    """It says what it costs."""
    expect(bool(member.time and member.memory), "time or memory is empty")


CHECKS: dict[str, Check] = {
    "says what it costs in time and memory": priced,
    "gives one gradient per parameter, twice the same, and changes nothing": pure,
    "is exact where the training loss knows nothing of the architecture": (
        exact_where_nothing_is_implicit
    ),
    "is linear in the validation loss": scales,
    "a search with it ends in finite numbers": searches,
}
