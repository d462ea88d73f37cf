"""The unrolled gradient without any of the estimators' code: Φ written out, then plain autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.contracts.hypergradient import Problem, Tensors


def unroll(problem: Problem, architecture: Tensors, train: Sequence[Any], kept: int) -> Tensors:
    """w_T with a graph through the last ``kept`` steps, as a function of the architecture."""
    inner = problem.inner
    w = dict(problem.weights)
    m = {n: problem.momentum.get(n, torch.zeros_like(v)) for n, v in w.items()}
    for i, batch in enumerate(train):
        if i <= len(train) - kept:  # cut everything before the first kept step
            w = {n: v.detach().requires_grad_() for n, v in w.items()}
            m = {n: v.detach() for n, v in m.items()}
        loss = problem.train_loss(w, architecture, batch)
        g = dict(
            zip(
                w,
                torch.autograd.grad(loss, list(w.values()), create_graph=True, allow_unused=True),
                strict=True,
            )
        )
        scale: Tensor | float = 1.0
        if inner.clip is not None:
            squares = sum((v * v).sum() for v in g.values() if v is not None)
            scale = torch.clamp(inner.clip / (torch.sqrt(squares) + 1e-6), max=1.0)
        for name, slope in g.items():
            if slope is None:
                continue
            d = slope * scale + inner.weight_decay * w[name]
            m[name] = inner.momentum * m[name] + d
            step = d + inner.momentum * m[name] if inner.nesterov else m[name]
            w[name] = w[name] - inner.lr * step
    return w


def unrolled_gradient(
    problem: Problem, train: Sequence[Any], valid: Any, kept: int | None = None
) -> Tensors:
    """dL_val(w_T(λ), λ)/dλ by one backward pass through everything."""
    kept = len(train) if kept is None else kept
    w = unroll(problem, problem.architecture, train, kept)
    loss = problem.valid_loss(w, problem.architecture, valid)
    found = torch.autograd.grad(
        loss, list(problem.architecture.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(problem.architecture, found, strict=True))


def jacobian_gradient(problem: Problem, train: Sequence[Any], valid: Any) -> Tensors:
    """The same from the whole Jacobian dw_T/dλ, by ``torch.autograd.functional.jacobian``."""
    names = list(problem.architecture)

    def final(*alphas: Tensor) -> tuple[Tensor, ...]:
        w = unroll(problem, dict(zip(names, alphas, strict=True)), train, len(train))
        return tuple(w.values())

    J = torch.autograd.functional.jacobian(final, tuple(problem.architecture.values()))
    w = {
        n: v.detach().requires_grad_()
        for n, v in unroll(problem, problem.architecture, train, len(train)).items()
    }
    loss = problem.valid_loss(w, problem.architecture, valid)
    found = torch.autograd.grad(
        loss,
        [*w.values(), *problem.architecture.values()],
        allow_unused=True,
        materialize_grads=True,
    )
    v, direct = found[: len(w)], found[len(w) :]
    return {
        name: direct[i] + sum(torch.tensordot(vk, J[k][i], dims=vk.dim()) for k, vk in enumerate(v))
        for i, name in enumerate(names)
    }
