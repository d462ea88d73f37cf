"""A second oracle: torchopt's differentiable SGD and its implicit differentiation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.contracts.hypergradient import InnerStep, Tensors
from bench.hypergradients.conjugate_gradient import ConjugateGradient
from bench.hypergradients.forward import Forward
from bench.hypergradients.neumann import Neumann
from bench.hypergradients.reverse import Reverse

from .problems import close, flat, images, network, regression, total

torchopt = pytest.importorskip("torchopt")
pytestmark = pytest.mark.filterwarnings("ignore:We've integrated functorch:FutureWarning")


class Holder(nn.Module):
    """Parameters under names that MetaSGD can replace."""

    def __init__(self, weights: Tensors) -> None:
        super().__init__()
        self.names = list(weights)
        for name, weight in weights.items():
            self.register_parameter(name.replace(".", "_"), nn.Parameter(weight.detach().clone()))

    def named(self) -> Tensors:
        return {name: getattr(self, name.replace(".", "_")) for name in self.names}


@pytest.mark.parametrize("nesterov", [False, True])
def test_unrolled_against_metasgd(nesterov: bool) -> None:
    """T = 3 steps with momentum and weight decay on the supernet, from zero momentum; 1e-10.

    Both know only weights that have a gradient, so those without are fixed constants here.
    """
    inner = InnerStep(lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    problem = network(inner)
    problem.momentum.clear()
    *train, valid = images(4)
    idle = {"idle": problem.weights.pop("idle")}
    holder = Holder(problem.weights)
    optimiser = torchopt.MetaSGD(
        holder, lr=inner.lr, momentum=0.9, nesterov=nesterov, weight_decay=0.01
    )
    for batch in train:
        optimiser.step(problem.train_loss({**holder.named(), **idle}, problem.architecture, batch))
    loss = problem.valid_loss({**holder.named(), **idle}, problem.architecture, valid)
    alphas = list(problem.architecture.values())
    found = torch.autograd.grad(loss, alphas, allow_unused=True, materialize_grads=True)
    expected = torch.cat([g.reshape(-1) for g in found])
    close(total(Reverse(T=3).estimate(problem, train, valid)), expected)
    close(total(Forward(T=3).estimate(problem, train, valid)), expected)


def implicit(solve: Any, r: Any) -> Tensor:
    """torchopt's hypergradient at the minimum, with its own linear solver."""
    problem = r.problem
    names = list(problem.weights)

    def optimality(w: tuple[Tensor, ...], lam: Tensor) -> tuple[Tensor, ...]:
        def loss(weights: Tensors) -> Tensor:
            return problem.train_loss(weights, {"normal": lam}, r.train)

        return tuple(torch.func.grad(loss)(dict(zip(names, w, strict=True))).values())

    @torchopt.diff.implicit.custom_root(optimality, argnums=1, solve=solve)
    def minimum(w: tuple[Tensor, ...], lam: Tensor) -> tuple[Tensor, ...]:
        return w

    start = tuple(w.detach().clone() for w in problem.weights.values())
    lam = problem.architecture["normal"].detach().clone().requires_grad_()
    w = minimum(start, lam)
    loss = problem.valid_loss(dict(zip(names, w, strict=True)), {"normal": lam}, r.valid)
    return torch.autograd.grad(loss, lam)[0]


@pytest.mark.parametrize("logistic", [False, True], ids=["ridge", "logistic"])
def test_implicit_against_torchopt(logistic: bool) -> None:
    """Its conjugate gradients against ours and the closed form; its stopping rule allows 1e-5."""
    r = regression(logistic=logistic)
    theirs = implicit(torchopt.linear_solve.solve_cg(maxiter=50, atol=1e-12, rtol=1e-12), r)
    close(total(ConjugateGradient(k=5).estimate(r.problem, [r.train], r.valid)), theirs, 1e-5)
    close(flat({"exact": r.exact}), theirs, 1e-5)


@pytest.mark.parametrize("K", [1, 5, 20])
def test_neumann_against_torchopt(K: int) -> None:
    """Its series has maxiter + 1 summands, with alpha = a; ours has K."""
    r = regression(logistic=True)
    theirs = implicit(torchopt.linear_solve.solve_inv(ns=True, maxiter=K - 1, alpha=0.3), r)
    close(total(Neumann(K=K, a=0.3).estimate(r.problem, [r.train], r.valid)), theirs, 1e-8)
