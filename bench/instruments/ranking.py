"""Kendall's tau of the supernet's ranking, along the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.contracts.instrument import Instrument, Reading
from bench.metrics import Metric, reading
from bench.ranking.population import Population
from bench.ranking.protocol import Protocol

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings


class Ranking(Instrument):
    """τ-b of sub-networks' scores with their true accuracy, while the search runs.

    ``rank_tau`` (by accuracy), ``rank_tau_loss`` (by negative loss) and ``rank_tau_parameters`` (by
    parameter count, the same at every reading). NaN without a truth to rank by. No interval: the protocol of
    the final ranking has one.
    """

    cost: ClassVar[str] = "size · images/(3·batch) F, half of that where cells share work"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "rank_tau*",
            "τ of sub-networks' scores with their true accuracy, along the search",
            "",
            2,
            "higher",
        ),
    )

    size: int = Field(100, ge=2, description="unique cells, drawn at random, the same always")
    images: int = Field(500, ge=2, description="validation images")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return self.size * self.images / (6 * settings.search.batch)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        from bench.ranking.measure import measure  # late: saves start-up time

        if setup.truth is None or not setup.truth.reference:
            names = ("rank_tau", "rank_tau_loss", "rank_tau_parameters")
            return dict.fromkeys(names, float("nan"))
        protocol = Protocol(
            population=Population(size=self.size),
            images=self.images,
            batch=self.images,
            resamples=0,
        )
        numbers = measure(setup, state, protocol).flat()
        return {
            "rank_tau": numbers["tau"],
            "rank_tau_loss": numbers["tau_loss"],
            "rank_tau_parameters": numbers["tau_parameters"],
        }
