"""DARTS+: stop when skips abound or when the ranking of operations has settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from bench.contracts.variant import Stop, Variant
from bench.variants._durations import Duration, in_epochs

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class DartsPlus(Variant):
    """Early stopping by one of two criteria, from epoch ``start`` on.

    ``skips``
        The argmax cell has at least so many skip connections (criterion 1); where there are several
        kinds of cells, the first, the normal one, as in the paper.
    ``stable``
        On every edge, the ranking of α among the operations that have weights has been the same for
        so many epochs (criterion 1*).

    The architecture of the epoch that met the criterion counts. The paper has no ``start``: on
    NAS-Bench-201 34.5 % of random cells have two skips already, so that without one the search may
    end in its first epoch. The paper gives both criteria as alternatives, its results use the
    first; no official code is public. Null switches a criterion off.
    """

    paper: ClassVar[str] = (
        "Liang et al. 2019, DARTS+: Improved Differentiable Architecture Search with Early "
        "Stopping, arXiv:1909.06035"
    )
    off: ClassVar[dict[str, Any] | None] = {"skips": None, "stable": None}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"skips": 2, "stable": None, "start": 0.0},
        "ranking": {"skips": None, "stable": 10, "start": 0.0},
    }

    skips: int | None = Field(2, ge=1, description="stop at so many skips in the argmax cell")
    stable: int | None = Field(10, ge=2, description="stop after so many epochs of one ranking")
    start: Duration = Field(0.2, description="never before: epochs, or a share below 1")

    def stop(self, setup: SearchView, state: StateView) -> Stop | None:
        """Apply the criteria."""
        if state.epoch < in_epochs(self.start, setup.settings.search.epochs):
            return None
        space = setup.space
        cell = space.discretise(setup.strength(state))
        counted = next(iter(space.parts.values()), range(len(cell)))
        skips = space.count(tuple(cell[row] for row in counted), "skip_connect")
        if self.skips is not None and skips >= self.skips:
            return Stop(f"{skips} skip connections")
        if self.stable is None or len(state.history) < self.stable:
            return None
        learnable = [i for i, name in enumerate(space.operations) if name not in space.weight_free]
        alphas = torch.tensor([entry["alpha"] for entry in state.history[-self.stable :]])
        rankings = alphas[..., learnable].argsort(dim=-1, stable=True)
        settled = bool((rankings == rankings[-1]).all())
        return Stop(f"the ranking of α was stable for {self.stable} epochs") if settled else None
