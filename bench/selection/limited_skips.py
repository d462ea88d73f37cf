"""The strongest operations, with a limit on the skip connections of the cell (P-DARTS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.selection import Selection
from bench.contracts.space import Architecture

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class LimitedSkips(Selection):
    """As `argmax`, with at most ``most`` skips in the cell; `none` is never chosen.

    While the cell has more, the weakest of its skips is ruled out and the cell read off again, so
    that its edge takes the next operation or, where nodes keep some of their edges, another edge
    takes its place. Where there are several kinds of cells, the first is limited, the normal one.
    An edge on which nothing else competes keeps its skip.
    """

    paper: ClassVar[str] = (
        "Chen et al. 2019, Progressive Differentiable Architecture Search (P-DARTS), "
        "arXiv:1904.12760"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"most": 2}}

    most: int = Field(2, ge=0, description="skips in the normal cell")

    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """See `Selection.select`."""
        space, names = setup.space, list(setup.space.operations)
        strength = self._competing(setup, state, names)
        cell = space.discretise(strength)
        skip = names.index("skip_connect") if "skip_connect" in names else None
        limited = next(iter(space.parts.values()), range(len(cell)))
        while True:
            skips = [e for e in limited if cell[e] == skip]
            others = [e for e in skips if torch.isfinite(strength[e]).sum() > 1]
            if len(skips) <= self.most or not others:
                return cell
            weakest = min(others, key=lambda e: float(strength[e, skip]))
            strength[weakest, skip] = -torch.inf
            cell = space.discretise(strength)

    @staticmethod
    def _competing(setup: SearchView, state: StateView, names: list[str]) -> Tensor:
        """Return strengths [E, O], −inf where an operation is out or is a `none` beside others."""
        strength = setup.strength(state).clone()
        if (left := setup.composition.candidates(setup.moment(state, "evaluate"))) is not None:
            for row, own in zip(strength, left, strict=True):
                row[[o for o in range(len(names)) if o not in own]] = -torch.inf
        if "none" in names:
            for row in strength:
                if torch.isfinite(row).sum() > 1:
                    row[names.index("none")] = -torch.inf
        return strength
