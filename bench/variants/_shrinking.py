"""Dropping the weakest operations of every edge between stages of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contracts.space import Active

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


def strongest(setup: SearchView, state: StateView, keep: int) -> list[list[int]]:
    """Return the ``keep`` strongest operations of every edge among those that still compete.

    Strength is the mixture weight that a measurement sees; of equals the first is kept. Choosing
    among what every variant left over keeps the choices of several variants nested, so that an
    edge never loses all its operations.
    """
    moment = setup.moment(state, "evaluate")
    mixture, competing = setup.mixture(state).tolist(), setup.composition.candidates(moment)
    everything: Active = [range(len(setup.space.operations))] * len(setup.space.edges)
    return [
        sorted(sorted(left, key=lambda o, row=row: -row[o])[:keep])  # type: ignore[misc]
        for row, left in zip(mixture, competing or everything, strict=True)
    ]
