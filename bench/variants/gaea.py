"""GAEA: exponentiated gradient on the mixture weights in place of Adam on α."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Space
from bench.contracts.variant import ArchitectureStep, Variant


class Gaea(Variant):
    """p ← p·exp(−lr·∂L/∂p) on every edge, then normalised: mirror descent on the simplex.

    The geometry of the simplex gives sparse mixtures, so that less is lost when a cell is cut out of
    them. Nothing is added to the search: α is log p, and ∂L/∂p is ∂L/∂α over p up to a
    constant on each edge, which normalising takes away. p starts equal (``zeros``) and is never
    below ``smallest``. The search's settings for α's optimiser have no effect on it.

    Paper and code: the code's default, and its only published setting for the operations, is a
    constant rate of 0.1 without entropic regularisation in all three spaces. Its learned edges
    (``eedarts``, and β of PC-DARTS) are stepped the same way there; here further architecture
    parameters stay with Adam. There is no off: even a small rate is another geometry.
    """

    paper: ClassVar[str] = (
        "Li et al. 2021, Geometry-Aware Gradient Algorithms for Neural Architecture Search (GAEA), "
        "arXiv:2004.07802"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"lr": 0.1, "smallest": 1e-5, "zeros": True}
    }
    replaces_step: ClassVar[bool] = True

    lr: float = Field(0.1, gt=0, description="rate of the exponentiated gradient, constant")
    smallest: float = Field(1e-5, ge=0, lt=0.1, description="mixture weights are clamped to this")
    zeros: bool = Field(True, description="α starts at zero, not at random")

    def parameters(self, space: Space, seed: int) -> dict[str, Tensor]:
        """Let α [E, O] start at zero."""
        shape = (len(space.edges), len(space.operations))
        return {"alpha": torch.zeros(shape)} if self.zeros else {}

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return softmax(α): what is stepped here is that mixture and no other."""
        return architecture["alpha"].softmax(-1)

    def step_architecture(self, step: ArchitectureStep, moment: Moment) -> Mapping[str, Tensor]:
        """Step log p of the operations that competed; the others keep α."""
        if (gradient := step.gradient.get("alpha")) is None:
            return step.after
        alpha = step.before["alpha"].clone()
        everything = [range(alpha.shape[-1])] * alpha.shape[0]
        for edge, own in enumerate(step.kept or everything):
            rows = list(own)
            p = alpha[edge, rows].softmax(-1)
            log_p = p.log() - self.lr * gradient[edge, rows] / p
            alpha[edge, rows] = log_p.softmax(-1).clamp_min(self.smallest).log()
        return {**step.after, "alpha": alpha}
