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
    """Clamp at zero and give every edge its total back, as the official ``clip`` does for 1.

    A weight of exactly zero belongs to an operation that is out and stays zero.
    """
    clamped = perturbed.clamp_min(0) * (weights != 0)
    return clamped * (weights.sum(-1, keepdim=True) / clamped.sum(-1, keepdim=True))
