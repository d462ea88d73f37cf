"""FairDARTS: independent sigmoids in place of the softmax, pushed to zero or one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant


class FairDarts(Variant):
    """Mixture weights σ(α): operations cooperate; L_val gets weight·(−mean (σ(α) − ½)²).

    The zero-one term, −mean over all operations of all edges, pulls every weight away from ½.

    Paper and code: the paper compares a squared with an absolute distance (``distance``) and takes
    the squared one; its weight is 10, while the code's loss classes default to 0.1. The paper
    discretises by a threshold of 0.85 on every σ(α), so that an edge may keep two operations or
    none; here a cell is read off as for every variant, by the strongest. There is no off: the
    softmax is gone even with weight 0.
    """

    paper: ClassVar[str] = (
        "Chu et al. 2020, Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture "
        "Search, arXiv:1911.12126"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"weight": 10.0, "distance": "squared"},
        "absolute": {"weight": 10.0, "distance": "absolute"},
    }

    weight: float = Field(10.0, ge=0, description="of the zero-one loss")
    distance: Literal["squared", "absolute"] = "squared"

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return σ(α) [E, O]; rows do not sum to one."""
        return architecture["alpha"].sigmoid()

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the zero-one loss."""
        away = (architecture["alpha"].sigmoid() - 0.5).abs()
        return -self.weight * (away**2 if self.distance == "squared" else away).mean()
