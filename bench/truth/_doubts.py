"""What to know about a truth before anything is searched with it: for `bench run` and `bench plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.contracts.truth import Truth

if TYPE_CHECKING:
    from bench.contracts.space import Space
    from bench.ranking.population import Population


def doubts(truth: Truth, space: Space, population: Population | None) -> list[str]:
    """Say what of a truth is missing or cannot be what it says; empty where all is well.

    Parameters
    ----------
    population
        What sub-networks are ranked of; None where none are.

    Raises
    ------
    ValueError
        When the population cannot be drawn with this truth.
    """
    if not truth.reference or not space.enumerable:
        return []
    from bench.truth._summary import checks  # late: saves start-up time

    found = []
    every = [space.encode(cell) for cell in space.architectures()]
    own, worth = truth.measured(every), truth.mean(every)
    if lacking := int(np.isnan(worth).sum()):
        twins = int(np.isnan(own).sum()) - lacking
        found.append(
            f"the truth knows {len(worth) - lacking - twins:,} of the {len(worth):,} cells of {space.name}"
            + (f" and {twins:,} by isomorphic ones" if twins else "")
            + "; where a search derives one of the others, its true accuracy and regret are missing"
        )
    if population is not None:
        cells = population.drawn(space, truth).cells
        unknown = int(np.isnan(truth.mean([space.encode(cell) for cell in cells])).sum())
        if unknown:
            found.append(
                f"{unknown:,} of the {len(cells):,} cells that are to be ranked have no truth, so "
                "that τ will be undefined; --set ranking.population.kind=known ranks those that do"
            )
    found += [
        f"the truth fails a check: {check.name}: {check.found} (see: bench truth verify)"
        for check in checks(truth)
        if check.ok is False
    ]
    return found
