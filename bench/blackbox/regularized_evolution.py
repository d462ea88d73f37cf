"""Regularised (aging) evolution: tournaments, one mutation, the oldest dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.contracts.blackbox import Architecture, BlackBox, Proposals, random_architecture


class RegularizedEvolution(BlackBox):
    """Aging evolution: the best of a random tournament has a child, the oldest is removed.

    Defaults are those of NAS-Bench-201. A child differs from its parent on one edge, drawn
    uniformly (the benchmark's code draws a node first, so that edges into early nodes mutate more
    often). Cells that come up again are evaluated and paid for again.
    """

    paper: ClassVar[str] = (
        "Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search, "
        "arXiv:1802.01548"
    )

    population: int = Field(default=10, ge=1)
    """How many live."""
    tournament: int = Field(default=3, ge=1)
    """How many are drawn, with replacement, for each tournament."""

    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """See `BlackBox.proposals`."""
        alive: deque[tuple[float, Architecture]] = deque(maxlen=self.population)
        while len(alive) < self.population:
            architecture = random_architecture(choices, rng)
            alive.append(((yield architecture), architecture))
        while True:
            drawn = rng.integers(self.population, size=self.tournament).tolist()
            _, parent = max((alive[i] for i in drawn), key=lambda member: member[0])
            child = mutate(parent, choices, rng)
            alive.append(((yield child), child))


def mutate(parent: Architecture, choices: Sequence[int], rng: np.random.Generator) -> Architecture:
    """Replace the operation of one edge by another; an edge without a choice stays."""
    edges = [edge for edge, count in enumerate(choices) if count > 1]
    if not edges:
        return parent
    edge = edges[int(rng.integers(len(edges)))]
    # A step of 1 to count − 1 around the circle of operations: uniform over the others.
    step = int(rng.integers(1, choices[edge]))
    child = list(parent)
    child[edge] = (child[edge] + step) % choices[edge]
    return tuple(child)
