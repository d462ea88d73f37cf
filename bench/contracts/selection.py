"""How a cell is read off the supernet: the contract of a selection rule."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from bench.contracts.member import Member
from bench.contracts.space import Architecture

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Selection(Member):
    """A rule that discretises a search; deterministic given the state."""

    @abstractmethod
    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """Return the chosen cell; the state is left as it was.

        Parameters
        ----------
        setup, state
            The search at its end, or at the epoch whose architecture counts.

        Returns
        -------
        Architecture
            The index of an operation for every edge; −1 where the cell lacks the edge.
        """
