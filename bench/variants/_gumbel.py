"""Gumbel noise and its temperature: what GDAS and SNAS share."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant


class Gumbel(Variant):
    """A relaxation by softmax((log softmax(α) + g)/τ) with g ~ Gumbel(0, 1)."""

    start: float = Field(10.0, gt=0, description="τ, temperature of the first epoch")
    end: float = Field(1.0, gt=0, description="temperature that is annealed to, linearly")

    def last(self, moment: Moment) -> int:
        """Return the epoch at which the temperature reaches ``end``."""
        return moment.epochs

    def temperature(self, moment: Moment) -> float:
        """Return τ at this epoch."""
        share = min(1.0, moment.epoch / max(1, self.last(moment)))
        return self.start + (self.end - self.start) * share

    def soft(self, alpha: Tensor, moment: Moment) -> Tensor:
        """Return one draw of the concrete distribution [E, O]; the same at the same moment."""
        draws = moment.generator(self.name)
        gumbels = -torch.empty_like(alpha).exponential_(generator=draws).log()
        return ((alpha.log_softmax(-1) + gumbels) / self.temperature(moment)).softmax(-1)
