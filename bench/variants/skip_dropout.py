"""Dropout on skip connections (P-DARTS), with its decay schedules."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.stages import bounds, stage
from bench.contracts.variant import Site, Variant

Rate = Annotated[float, Field(ge=0, lt=1)]


class SkipDropout(Variant):
    """Element-wise dropout on the output of identity skips, in both updates of the search.

    Each element is zeroed with probability ``p`` and the rest scaled by 1/(1 − p); nothing is
    dropped while measuring, nor on a skip of stride 2, which is a factorised reduction. Schedules of
    p over the epochs e of E:

    ``constant``
        p₀.
    ``linear``
        p₀·(E − e − 1)/E.
    ``pdarts``
        The P-DARTS code: as ``linear`` for the first w = 0.4·E epochs, then p₀·exp(−5·(e − w)/E).
        In its stages of 25 epochs: 10 epochs, then p₀·exp(−0.2·(e − 10)).

    Several rates are those of as many equal stages; in each the schedule begins anew, and e and E
    count its own epochs. Beside `operation_shrinking` give one rate for each of its stages.

    Paper and code: the paper describes a gradual decay without a formula; the code's is used here.
    Initial rates on CIFAR-10 are 0.0, 0.4 and 0.7 in the paper (preset ``paper``) and 0.1, 0.4 and
    0.7 in the code's README (preset ``code``).
    """

    paper: ClassVar[str] = (
        "Chen et al. 2019, Progressive Differentiable Architecture Search (P-DARTS), "
        "arXiv:1904.12760"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect",)
    off: ClassVar[dict[str, Any] | None] = {"rate": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"rate": (0.0, 0.4, 0.7), "schedule": "pdarts"},
        "code": {"rate": (0.1, 0.4, 0.7), "schedule": "pdarts"},
    }

    rate: Rate | Annotated[tuple[Rate, ...], Field(min_length=1)] = Field(
        0.3, description="p₀, initial probability of dropping an element; a list: of every stage"
    )
    schedule: Literal["constant", "linear", "pdarts"] = "constant"

    def probability(self, moment: Moment) -> float:
        """Return p at this epoch."""
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        number = stage(moment.epoch, moment.epochs, len(rates))
        first, length = bounds(number, moment.epochs, len(rates))
        rate, epoch, warmup = rates[number], moment.epoch - first, 0.4 * length
        if self.schedule == "constant":
            return rate
        if self.schedule == "pdarts" and epoch >= warmup:
            return rate * math.exp(-5.0 * (epoch - warmup) / length)
        return rate * (length - epoch - 1) / length

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Drop elements of the skip connection of one edge of one cell."""
        p = self.probability(moment)
        if p == 0 or moment.phase == "evaluate" or site.stride != 1:
            return y
        return y * moment.dropout(y, p, self.name, site.cell, site.edge)
