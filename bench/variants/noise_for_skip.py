"""Noise in place of the skip connection."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class NoiseForSkip(Variant):
    """`skip_connect` gives noise N(mean, std²), whatever comes in: does the search still choose it?

    A control of this suite, measuring included: no paper replaces the skip. RobustDARTS's S4 has an
    operation `noise`, N(0, 1) for every element, beside a separable convolution and no skip (``space:
    {name: darts, preset: s4}``). The truth of a cell says nothing here: a skip stands for noise. See
    `noisy_darts` for noise on top of the skip. There is no off: noise of deviation zero is not the
    skip.
    """

    paper: ClassVar[str] = (
        "a control of this suite; the idea is that of Zela et al. 2020, arXiv:1909.09656 (S4)"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect",)

    mean: float = 0.0
    std: float = Field(1.0, ge=0)

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Replace the skip connection of one edge of one cell."""
        return moment.normal(y, self.mean, self.std, self.name, site.cell, site.edge)
