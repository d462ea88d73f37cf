"""FairDARTS: independent sigmoids in place of the softmax, pushed to zero or one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import Variant


class FairDarts(Variant):
    """Mixture weights σ(α): operations cooperate; L_val gets weight·(−mean (σ(α) − ½)²).

    The zero-one term, −mean over all competing operations of all edges, pulls every weight away
    from ½. `none` does not compete and α starts at zero, as in the authors' code: its output is
    nothing, so that only the zero-one term would act on its σ, away from where it started.

    Paper and code: the paper compares a squared with an absolute distance (``distance``) and takes
    the squared one; its weight is 10, while the code's loss classes default to 0.1. The code
    searches with optimisers of its own (batch 128, weight lr 0.005, α: Adam with lr 3e-3, betas 0.9
    and 0.999): override ``search`` for these. The paper discretises by a threshold of 0.85 on every
    σ(α), so that an edge may keep two operations or none; here a cell is read off as for every
    variant, by the strongest. There is no off: the softmax is gone even with weight 0.
    """

    paper: ClassVar[str] = (
        "Chu et al. 2020, Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture "
        "Search, arXiv:1911.12126"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"weight": 10.0, "distance": "squared", "exclude": ("none",), "zeros": True},
        "absolute": {"weight": 10.0, "distance": "absolute", "exclude": ("none",), "zeros": True},
    }

    weight: float = Field(10.0, ge=0, description="of the zero-one loss")
    distance: Literal["squared", "absolute"] = "squared"
    exclude: tuple[str, ...] = Field(("none",), description="operations that do not compete")
    zeros: bool = Field(True, description="α starts at zero, not at random")

    def parameters(self, space: Space, seed: int) -> dict[str, Tensor]:
        """Let α [E, O] start at zero."""
        shape = (len(space.edges), len(space.operations))
        return {"alpha": torch.zeros(shape)} if self.zeros else {}

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Leave out what does not compete; an edge that has nothing else keeps what it has."""
        out = {o for o, name in enumerate(space.operations) if name in self.exclude}
        if not out:
            return None
        present = space.candidates() or [range(len(space.operations))] * len(space.edges)
        return [[o for o in own if o not in out] or list(own) for own in present]

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return σ(α) [E, O]; rows do not sum to one."""
        return architecture["alpha"].sigmoid()

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return the zero-one loss."""
        alpha = architecture["alpha"]
        away = (alpha[torch.isfinite(alpha)].sigmoid() - 0.5).abs()
        return -self.weight * (away**2 if self.distance == "squared" else away).mean()
