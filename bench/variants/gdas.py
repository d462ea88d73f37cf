"""GDAS: one operation per edge, drawn by a hard Gumbel softmax with a straight-through gradient."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import Site
from bench.variants._gumbel import Gumbel


class Gdas(Gumbel):
    """Forward: one-hot(argmax p̃), backward: p̃ = softmax((log softmax(α) + g)/τ), g ~ Gumbel(0, 1).

    Only the drawn operation runs. τ goes linearly from 10 to 0.1, reached in the last epoch;
    measuring sees softmax(α). NAS-Bench-201 searches for 250 epochs.

    Paper and code differ in what the weights that were not drawn get (``undrawn``): ``none`` is the
    paper's, the gradient passes through the drawn operation's weight alone; ``ones`` is that of
    AutoDL-Projects' NAS-Bench-201 numbers, which adds the undrawn weights (zero in value) to the
    edge's output, so that they get the gradient of an operation whose output is one everywhere;
    ``exact`` runs all operations, the straight-through gradient without either shortcut. There is
    no off: no parameter brings the softmax mixture back.
    """

    paper: ClassVar[str] = (
        "Dong and Yang 2019, Searching for a Robust Neural Architecture in Four GPU Hours, "
        "arXiv:1910.04465"
    )
    samples_path: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"start": 10.0, "end": 0.1, "undrawn": "none"},
        "autodl": {"start": 10.0, "end": 0.1, "undrawn": "ones"},
    }

    end: float = Field(0.1, gt=0, description="temperature that is annealed to, linearly")
    undrawn: Literal["none", "ones", "exact"] = "ones"

    def last(self, moment: Moment) -> int:
        """Return the last epoch, as in the code."""
        return moment.epochs - 1

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the drawn one-hot mixture [E, O]; softmax(α) while measuring."""
        alpha = architecture["alpha"]
        if moment.phase == "evaluate":
            return alpha.softmax(-1)
        soft = self.soft(alpha, moment)
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
        return hard - soft.detach() + soft

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
        """Run the drawn path only."""
        if moment.phase == "evaluate" or self.undrawn == "exact":
            return None
        drawn = self.soft(architecture["alpha"].detach(), moment).argmax(-1)
        return space.active(tuple(drawn.tolist()))

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Add the weights that were not drawn, zero in value."""
        if moment.phase == "evaluate" or self.undrawn != "ones":
            return y
        weights = self.relax(architecture, moment)[site.edge]
        return y + (weights.sum() - weights.max())
