"""β-DARTS: a penalty on logsumexp(α) that keeps the softmax from running away."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant


class BetaDarts(Variant):
    """L_val gets λ·mean over edges of log Σ_o exp(α_o), λ = weight·e/E (β-decay).

    Its gradient is λ/E·softmax(α): the larger an operation's weight already is, the more it decays.

    Paper and code: the paper raises λ linearly from 0 to 50; the code hard-codes 50·e/100, which is
    the same only for 100 epochs; here E is the search's own. Adam's weight decay on α stays at its
    1e-3 in the code's default, beside the β-decay.
    """

    paper: ClassVar[str] = (
        "Ye et al. 2022, β-DARTS: Beta-Decay Regularization for Differentiable Architecture "
        "Search, arXiv:2203.01665"
    )
    off: ClassVar[dict[str, Any] | None] = {"weight": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"weight": 50.0, "schedule": "linear"},
    }

    weight: float = Field(50.0, ge=0, description="λ at the end of the search")
    schedule: Literal["linear", "constant"] = "linear"

    def strength(self, moment: Moment) -> float:
        """Return λ at this epoch."""
        return self.weight * (moment.epoch / moment.epochs if self.schedule == "linear" else 1.0)

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the penalty."""
        strength = self.strength(moment)
        return strength * architecture["alpha"].logsumexp(-1).mean() if strength else None
