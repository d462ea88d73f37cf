"""Noise in place of, or on top of, the skip connection."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class NoiseForSkip(Variant):
    """`skip_connect` gives noise N(mean, std²): does the search still choose it?

    ``replace``
        The noise alone, whatever comes in, while measuring too: the operation of RobustDARTS's S4.
        The truth of a cell then says nothing: a skip stands for noise.
    ``add``
        x + noise in both updates, none while measuring (NoisyDARTS).

    Paper and code: RobustDARTS's code draws N(0, 1) for every element, as here. NoisyDARTS's
    published deviations depend on the space and are not restated as a preset.
    """

    paper: ClassVar[str] = (
        "Zela et al. 2020, Understanding and Robustifying Differentiable Architecture Search, "
        "arXiv:1909.09656 (S4); Chu et al. 2020, Noisy Differentiable Architecture Search, "
        "arXiv:2005.03566"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect",)
    off: ClassVar[dict[str, Any] | None] = {"mode": "add", "mean": 0.0, "std": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"mode": "replace", "mean": 0.0, "std": 1.0},
    }

    mode: Literal["replace", "add"] = "replace"
    mean: float = 0.0
    std: float = Field(1.0, ge=0)

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Replace or disturb the skip connection of one edge of one cell."""
        silent = self.mean == 0 and self.std == 0
        if self.mode == "add" and (silent or moment.phase == "evaluate"):
            return y
        noise = moment.normal(y, self.mean, self.std, self.name, site.cell, site.edge)
        return noise if self.mode == "replace" else y + noise
