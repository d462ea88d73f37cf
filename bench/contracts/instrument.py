"""What is watched along the way: the contract of an instrument."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.contracts.member import Member
from bench.metrics import Metric

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

Reading = dict[str, float]
"""Named numbers of one moment; NaN where a number has no meaning."""


class Instrument(Member):
    """Something that is read off a search between epochs and changes nothing in it."""

    cost: ClassVar[str] = ""
    """What one reading costs, in words and units of F (one forward and backward pass)."""

    details: ClassVar[str] = ""
    """Prefix of readings that are too many for tables and figures; they stay in the history."""

    measures: ClassVar[tuple[Metric, ...]] = ()
    """What the readings are, but for details; ``*`` in a name stands for operations, edges and the like.

    What an ablation may ask about: a metric that no instrument declares is refused with the file.
    """

    every: int = Field(1, ge=1, description="read after every so many epochs")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """Return the cost of one reading in units of F, for ``parameters`` entries of alpha.

        What `bench plan` adds up; F is a forward and backward pass of a training batch.

        Parameters
        ----------
        settings
            Of the run.
        parameters
            Numbers in alpha, E·O.

        Returns
        -------
        float
            Multiples of one forward and backward pass of a training batch.
        """
        return 0.0

    @abstractmethod
    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """Read the instrument.

        Weights, buffers, architecture and optimisers are left as they are; random numbers come
        from streams of the instrument's own name.

        Parameters
        ----------
        setup, state
            The search after an epoch; ``state.epoch`` counts it.

        Returns
        -------
        Reading
            Name → number, as ``measures`` declares them with their units; NaN where one has no meaning.
        """
