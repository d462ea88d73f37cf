"""The structured best response of Self-Tuning Networks: ŵ(λ + δ) = w + (Rδ) ⊙_row U.

A weight of shape [O, ...] (a filter bank, a matrix) moves by its rows: output o is U[o] scaled by
(Rδ)[o], with R of O × A and U shaped like the weight; a weight of one dimension or none (a bias)
moves freely, by R of its size × A. That is MacKay et al.'s layer-wise structure, per tensor.

The response is one flat dictionary of tensors, ``rows.<weight>`` [A, O] and ``base.<weight>``
[O, ...], so that a search can checkpoint it like any other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.contracts.hypergradient import Tensors
from bench.streams import generator


def initial(weights: Tensors, columns: int, seed: int | None = None) -> Tensors:
    """Return the response that is zero everywhere: R = 0, with U = w, or random from a seed.

    Rows of a random U are as long as those of w, so that R is a relative gain either way.
    """
    response: Tensors = {}
    for name, weight in weights.items():
        rows = weight.shape[0] if weight.dim() else 1
        response[f"rows.{name}"] = weight.new_zeros((columns, rows))
        if weight.dim() > 1:
            base = weight.detach().clone()
            if seed is not None:
                draws = generator("cpu", seed, "response", name)
                random = torch.randn(weight.shape, generator=draws, dtype=torch.float64).to(base)
                lengths = base.flatten(1).norm(dim=1) / random.flatten(1).norm(dim=1)
                base = _per_row(lengths, random) * random
            response[f"base.{name}"] = base
    return response


def displacement(response: Tensors, weights: Tensors, delta: Tensor) -> Tensors:
    """Return (Rδ) ⊙_row U for every weight, δ [A] being a displacement of the flat λ."""
    moved: Tensors = {}
    for name, weight in weights.items():
        gain = delta @ response[f"rows.{name}"]
        if weight.dim() > 1:
            gain = _per_row(gain, weight) * response[f"base.{name}"]
        moved[name] = gain.reshape(weight.shape)
    return moved


def fit(response: Tensors, gradient: Tensors, delta: Tensor, step: float) -> Tensors:
    """Descend along ∂(gradient · displacement)/∂(R, U) for one δ; returns a new response."""
    fitted = dict(response)
    for name, slope in gradient.items():
        rows, by_row = response[f"rows.{name}"], slope.reshape(-1)
        if slope.dim() > 1:
            base = response[f"base.{name}"]
            by_row = (slope * base).flatten(1).sum(1)
            fitted[f"base.{name}"] = base - step * _per_row(delta @ rows, slope) * slope
        fitted[f"rows.{name}"] = rows - step * torch.outer(delta, by_row)
    return fitted


def pullback(response: Tensors, v: Tensors) -> Tensor:
    """Return (dŵ/dλ)ᵀ v as a flat vector [A]."""
    total: Tensor | None = None
    for name, value in v.items():
        by_row = value.reshape(-1)
        if value.dim() > 1:
            by_row = (value * response[f"base.{name}"]).flatten(1).sum(1)
        part = response[f"rows.{name}"] @ by_row
        total = part if total is None else total + part
    if total is None:
        raise ValueError("a response needs at least one weight")
    return total


def direction(seed: int, counter: int, columns: int) -> Tensor:
    """Return one perturbation direction z [A] with E zzᵀ = I and ‖z‖² = A exactly.

    Directions come in sweeps of A orthogonal ones, each sweep a random rotation that depends on
    (seed, sweep) alone: every one of them is isotropic, and A in a row cover every direction once.
    Always made on the CPU in float64, so that all devices see the same.
    """
    sweep, row = divmod(counter, columns)
    draws = torch.Generator().manual_seed((seed * 1_000_003 + sweep) % 2**63)
    square = torch.randn((columns, columns), generator=draws, dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(square)[0]
    return rotation[row] * math.sqrt(columns)


def flatten(tensors: Tensors) -> Tensor:
    """Return all entries as one vector, in the order of the names."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])


def unflatten(vector: Tensor, like: Tensors) -> Tensors:
    """Return a vector's entries in the shapes of ``like``."""
    pieces = torch.split(vector, [tensor.numel() for tensor in like.values()])
    return {n: p.reshape(t.shape) for (n, t), p in zip(like.items(), pieces, strict=True)}


def _per_row(gain: Tensor, weight: Tensor) -> Tensor:
    return gain.reshape(-1, *[1] * (weight.dim() - 1))
