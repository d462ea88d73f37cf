"""Local search: climb to the best neighbour, start again from a random cell at the top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contracts.blackbox import Architecture, BlackBox, Proposals, random_architecture


class LocalSearch(BlackBox):
    """Steepest ascent over cells that differ on one edge, restarted at local optima.

    What has been evaluated is remembered and costs nothing more. Ends early when every architecture
    has been seen.
    """

    paper: ClassVar[str] = (
        "White et al. 2021, Exploring the Loss Landscape in Neural Architecture Search, "
        "arXiv:2005.02960"
    )
    repeats: ClassVar[str] = "remembered"

    first_improvement: bool = False
    """Move to the first better neighbour (the paper's query_until_lower) instead of the best."""

    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """See `BlackBox.proposals`."""
        seen: dict[Architecture, float] = {}
        size = math.prod(choices)
        while len(seen) < size:
            here = random_architecture(choices, rng)
            if here not in seen:
                seen[here] = yield here
            while True:
                around = neighbours(here, choices)
                better: list[Architecture] = []
                for i in rng.permutation(len(around)).tolist():
                    if around[i] not in seen:
                        seen[around[i]] = yield around[i]
                    if seen[around[i]] > seen[here]:
                        better.append(around[i])
                        if self.first_improvement:
                            break
                if not better:
                    break
                here = max(better, key=seen.__getitem__)


def neighbours(architecture: Architecture, choices: Sequence[int]) -> list[Architecture]:
    """Return the architectures that differ on exactly one edge (24 in NAS-Bench-201)."""
    return [
        (*architecture[:edge], operation, *architecture[edge + 1 :])
        for edge, count in enumerate(choices)
        for operation in range(count)
        if operation != architecture[edge]
    ]
