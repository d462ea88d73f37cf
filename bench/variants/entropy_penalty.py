"""DA²S: an entropy term that pushes the mixture towards one operation per edge."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant


class EntropyPenalty(Variant):
    """L_val gets strength·e/E·mean over edges of −Σ_o p_o log p_o, with p = softmax(α).

    The less is left to discretise, the less discretisation can break. The paper also has a term
    for the choice of edges and other continuations than the linear one; not here.
    """

    paper: ClassVar[str] = (
        "Tian et al. 2020, Discretization-Aware Architecture Search, arXiv:2007.03154"
    )
    off: ClassVar[dict[str, Any] | None] = {"strength": 0.0}

    strength: float = Field(0.2, ge=0, description="weight of the entropy at the end of the search")

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the penalty."""
        weight = self.strength * moment.epoch / moment.epochs
        log_p = torch.log_softmax(architecture["alpha"], dim=-1)
        # An operation that no longer competes has log p = −inf and adds nothing.
        return -weight * (log_p.exp() * log_p.clamp_min(-80)).sum(-1).mean() if weight else None
