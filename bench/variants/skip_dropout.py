"""Dropout on skip connections (P-DARTS), with its decay schedules."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class SkipDropout(Variant):
    """Element-wise dropout on the output of `skip_connect`, in both updates of the search.

    Each element is zeroed with probability ``p`` and the rest scaled by 1/(1 − p); nothing is
    dropped while measuring. Schedules of p over the epochs e of E:

    ``constant``
        p₀.
    ``linear``
        p₀·(E − e − 1)/E.
    ``pdarts``
        The P-DARTS code: as ``linear`` for the first 10 epochs, then p₀·exp(−0.2·(e − 10)).

    The paper describes a gradual decay without a formula; the code's is used here. The paper's
    initial rates are 0.0, 0.4 and 0.7 for its three stages on CIFAR-10.
    """

    paper: ClassVar[str] = (
        "Chen et al. 2019, Progressive Differentiable Architecture Search (P-DARTS), "
        "arXiv:1904.12760"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect",)
    off: ClassVar[dict[str, Any] | None] = {"rate": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"rate": 0.4, "schedule": "pdarts"},  # the middle of its three stages
    }

    rate: float = Field(
        0.3, ge=0, lt=1, description="p₀, initial probability of dropping an element"
    )
    schedule: Literal["constant", "linear", "pdarts"] = "constant"

    def probability(self, moment: Moment) -> float:
        """Return p at this epoch."""
        if self.schedule == "constant":
            return self.rate
        if self.schedule == "pdarts" and moment.epoch >= 10:
            return self.rate * math.exp(-0.2 * (moment.epoch - 10))
        return self.rate * (moment.epochs - moment.epoch - 1) / moment.epochs

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Drop elements of the skip connection of one edge of one cell."""
        p = self.probability(moment)
        if p == 0 or moment.phase == "evaluate":
            return y
        return y * moment.dropout(y, p, self.name, site.cell, site.edge)
