"""DARTS−: an auxiliary skip connection on every edge that fades out."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class DartsMinus(Variant):
    """Add β·x to every edge, so that `skip_connect` no longer competes for stabilising training.

    β goes from ``beta`` to 0 over the epochs, linearly (β = 1 − e/E) or by a cosine; `skip_connect`
    stays in the softmax. At the end the auxiliary connection is gone: nothing is left to
    discretise.

    Paper and code agree, but for edges of stride 2 (the reduction cells of the DARTS space): the
    code's auxiliary connection there is a factorised reduction with weights of its own, here it is
    the input averaged over 2x2 pixels.
    """

    paper: ClassVar[str] = (
        "Chu et al. 2021, DARTS-: Robustly Stepping out of Performance Collapse Without "
        "Indicators, arXiv:2009.01027"
    )
    off: ClassVar[dict[str, Any] | None] = {"beta": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"beta": 1.0, "decay": "linear"}}

    beta: float = Field(1.0, ge=0, description="β in the first epoch")
    decay: Literal["linear", "cosine"] = "linear"

    def strength(self, moment: Moment) -> float:
        """Return β at this epoch."""
        done = min(1.0, moment.epoch / moment.epochs)
        left = 1 - done if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.beta * left

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Add the auxiliary connection."""
        beta = self.strength(moment)
        return y if beta == 0 else y + beta * x
