"""NoisyDARTS: noise on top of the skip connection, so that it is no free ride for the gradient."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class NoisyDarts(Variant):
    """`skip_connect` gives x + ξ in both updates, x while measuring.

    ``gaussian``
        ξ ~ N(mean, (factor·s)²), with s the deviation of all elements of x, taken as a constant.
    ``uniform``
        ξ uniform on mean ± √(3·factor): its *variance* is ``factor``, whatever x is.

    With ``mode: multiplicative`` the skip gives x·ξ, and the gaussian's deviation is ``factor``
    itself. ``decay`` scales ξ by ½(1 + cos(π·e/E)). The presets ``a`` to ``j`` are the authors'
    script (``scripts/run_noisy_darts_search.sh``); ``paper`` is its first, unbiased gaussian noise of
    0.2 times the features' deviation.

    Paper and code: in the code a skip also loses whole images, scaled (drop-path with probability
    0.3, a default of its network that its script does not change); the paper does not speak of it,
    and it is not done here: add `skip_dropout` for something alike. Its decay is over 50 epochs,
    here over the search.
    """

    paper: ClassVar[str] = (
        "Chu et al. 2020, Noisy Differentiable Architecture Search, arXiv:2005.03566"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect",)
    off: ClassVar[dict[str, Any] | None] = {"factor": 0.0, "mean": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"factor": 0.2},
        "a": {"factor": 0.2},
        "b": {"factor": 0.1},
        "c": {"factor": 0.2, "noise": "uniform"},
        "d": {"factor": 0.1, "noise": "uniform"},
        "e": {"factor": 0.2, "mode": "multiplicative", "mean": 1.0},
        "f": {"factor": 0.1, "mode": "multiplicative", "mean": 1.0},
        "g": {"factor": 0.2, "mean": 0.5, "decay": True},
        "h": {"factor": 0.2, "mean": 1.0, "decay": True},
        "i": {"factor": 0.1, "mean": 0.5, "decay": True},
        "j": {"factor": 0.1, "mean": 1.0, "decay": True},
    }

    factor: float = Field(0.2, ge=0, description="deviation, in those of the features; see noise")
    mean: float = 0.0
    noise: Literal["gaussian", "uniform"] = "gaussian"
    mode: Literal["additive", "multiplicative"] = "additive"
    decay: bool = Field(False, description="let the noise go to nothing by a cosine")

    def strength(self, moment: Moment) -> float:
        """Return what the noise is multiplied by at this epoch."""
        if not self.decay:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, moment.epoch / moment.epochs)))

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Disturb the skip connection of one edge of one cell."""
        adds = self.mode == "additive"
        silent = adds and self.factor == 0 and self.mean == 0
        if silent or moment.phase == "evaluate":
            return y
        key = (self.name, site.cell, site.edge)
        if self.noise == "uniform":
            draws, reach = moment.generator(*key), math.sqrt(3 * self.factor)
            xi = torch.empty_like(y).uniform_(self.mean - reach, self.mean + reach, generator=draws)
        else:
            deviation = self.factor * (y.detach().std() if adds else 1.0)
            xi = moment.normal(y, 0.0, 1.0, *key) * deviation + self.mean
        xi = xi * self.strength(moment)
        return y + xi if adds else y * xi
