"""Perturbed mixture weights: what SDARTS-RS and SDARTS-ADV share."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant

PAPER = (
    "Chen and Hsieh 2020, Stabilizing Differentiable Architecture Search via Perturbation-based "
    "Regularization (SmoothDARTS), arXiv:2002.05283"
)


class Perturbation(Variant):
    """Perturbs the mixture of the weight step within an L∞ ball of radius ε."""

    off: ClassVar[dict[str, Any] | None] = {"start": 0.0, "end": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"start": 0.03, "end": 0.3}}

    start: float = Field(0.03, ge=0, description="ε in the first epoch")
    end: float = Field(0.3, ge=0, description="ε that is grown to, linearly over the epochs")

    def epsilon(self, moment: Moment) -> float:
        """Return ε = start + (end − start)·e/E."""
        return self.start + (self.end - self.start) * moment.epoch / moment.epochs

    def noise(self, weights: Tensor, epsilon: float, moment: Moment) -> Tensor:
        """Draw U(−ε, ε) for every mixture weight [E, O] and project what comes out."""
        draws = moment.generator(self.name)
        uniform = torch.empty_like(weights).uniform_(-epsilon, epsilon, generator=draws)
        return project(weights + uniform, weights)


def project(perturbed: Tensor, weights: Tensor) -> Tensor:
    """Clamp to [0, total] and give every edge its total back: the official ``clip``, for any total.

    Where nothing of an edge is above zero, all of it goes to the largest of the perturbed weights.
    A weight of exactly zero belongs to an operation that is out and stays zero.
    """
    total, competing = weights.sum(-1, keepdim=True), weights != 0
    clamped = perturbed.clamp_min(0).minimum(total) * competing
    largest = perturbed.masked_fill(~competing, -torch.inf).argmax(-1, keepdim=True)
    alone = torch.zeros_like(clamped).scatter(-1, largest, 1.0) * competing
    clamped = torch.where((clamped == 0).all(-1, keepdim=True), alone, clamped)
    # An edge that has no weight at all is left at zero.
    return clamped * (total / clamped.sum(-1, keepdim=True)).nan_to_num(0.0, 0.0, 0.0)
