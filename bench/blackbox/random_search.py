"""Random search: the reference that every search has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bench.contracts.blackbox import BlackBox, Proposals, random_architecture


class RandomSearch(BlackBox):
    """Uniform architectures, drawn with replacement as NAS-Bench-201 does."""

    paper: ClassVar[str] = (
        "Bergstra and Bengio 2012, Random Search for Hyper-Parameter Optimization, JMLR 13"
    )

    def proposals(self, choices: Sequence[int], rng: np.random.Generator) -> Proposals:
        """See `BlackBox.proposals`."""
        while True:
            yield random_architecture(choices, rng)
