"""A cell drawn at random: the floor that every rule has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.contracts.selection import Selection
from bench.contracts.space import Architecture
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class RandomCell(Selection):
    """Draw a cell of the space uniformly; uses nothing of the supernet."""

    paper: ClassVar[str] = (
        "Li and Talwalkar 2019, Random Search and Reproducibility for NAS, arXiv:1902.07638"
    )

    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """See `Selection.select`."""
        draws = generator("cpu", setup.seed, "random_cell")
        return setup.space.sample(1, draws)[0]
