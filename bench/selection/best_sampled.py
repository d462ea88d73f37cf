"""The best of k sampled cells by the supernet's own score."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.contracts.selection import Selection
from bench.contracts.space import Architecture
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class BestSampled(Selection):
    """Sample k cells uniformly and keep the one that the supernet scores best.

    Scored with inherited weights on the validation half, as the run's ranking protocol says
    (images, batch norm), by accuracy and then by loss.
    """

    paper: ClassVar[str] = (
        "Guo et al. 2020, arXiv:1904.00420; Li and Talwalkar 2019, arXiv:1902.07638 (100 cells on "
        "NAS-Bench-201)"
    )

    k: int = Field(100, ge=1, description="cells to sample")

    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """See `Selection.select`."""
        from bench.ranking.evaluate import evaluate  # late: saves start-up time
        from bench.ranking.protocol import Protocol  # late: saves start-up time

        draws = generator("cpu", setup.seed, "best_sampled", state.step)
        cells = list(dict.fromkeys(setup.space.sample(self.k, draws)))
        scores = evaluate(setup, state, cells, setup.settings.ranking or Protocol())
        best = max(range(len(cells)), key=lambda i: (scores.accuracy[i], -scores.loss[i]))
        return cells[best]
