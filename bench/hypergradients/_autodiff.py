"""Gradients and vectors over named tensors: what every estimator computes with.

A weight or an architecture parameter that a loss does not reach has gradient zero here, so that a
supernet with idle operations and a loss without λ need no special case. Where "no gradient" must
be told apart from zero (SGD skips such weights), see `bench.hypergradients._inner`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.contracts.hypergradient import Problem, Tensors


def gradients(output: Tensor, *inputs: Tensors) -> list[Tensors]:
    """Differentiate a scalar in several groups of named tensors with one backward pass."""
    return vjp([output], [torch.ones_like(output)], *inputs)


def vjp(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *inputs: Tensors,
    retain_graph: bool = False,
) -> list[Tensors]:
    """Return Σ cotangentᵀ ∂output/∂input for every group of inputs; zeros where nothing depends."""
    flat = [tensor for group in inputs for tensor in group.values()]
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    found: Sequence[Tensor]
    if pairs and flat:
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            flat,
            [cotangent for _, cotangent in pairs],
            retain_graph=retain_graph,
            materialize_grads=True,
            allow_unused=True,
        )
    else:
        found = [torch.zeros_like(tensor) for tensor in flat]
    rest = iter(found)
    return [{name: next(rest) for name in group} for group in inputs]


def validation(problem: Problem, weights: Tensors, valid: Any) -> tuple[Tensors, Tensors]:
    """Return v = ∂_w L_val and the direct part ∂_λ L_val, both at ``weights``."""
    weights = leaves(weights)
    loss = problem.valid_loss(weights, problem.architecture, valid)
    v, direct = gradients(loss, weights, problem.architecture)
    return v, direct


def leaves(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the same values as fresh leaves that require grad (sharing storage, never written)."""
    return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}


def zeros(tensors: Tensors) -> Tensors:
    """Return zeros of the same shapes."""
    return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}


def add(x: Tensors, y: Tensors, scale: float | Tensor = 1.0) -> Tensors:
    """Return x + scale·y by name; a name that ``y`` lacks counts as zero."""
    return {name: x[name] + scale * y[name] if name in y else x[name] for name in x}


def multiply(x: Tensors, scale: float | Tensor) -> Tensors:
    """Return scale·x."""
    return {name: scale * tensor for name, tensor in x.items()}


def dot(x: Tensors, y: Tensors) -> float:
    """Return the inner product over all names."""
    parts = [torch.sum(x[name] * y[name]) for name in x]
    return float(torch.stack(parts).sum()) if parts else 0.0


def norm(x: Tensors) -> float:
    """Return the Euclidean norm over all names."""
    return math.sqrt(dot(x, x))


def finite(*groups: Tensors) -> bool:
    """Say whether every entry is finite."""
    return all(bool(torch.isfinite(t).all()) for group in groups for t in group.values())
