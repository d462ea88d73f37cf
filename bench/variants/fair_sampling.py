"""Strictly fair sampling: every weight step trains every operation of every edge once."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Space
from bench.variants._sampling import Sampling


class FairSampling(Sampling):
    """One permutation of the operations per edge and step; its O paths' gradients are summed.

    As many single paths as there are operations are run on the same batch, without replacement on
    every edge, and one update is made of the sum of their gradients (FairNAS, strict fairness). No
    alpha is learned; the cell is chosen by the supernet's score. A step costs O forward and
    backward passes; gradient clipping acts on their sum. There is no off: it has no strength.
    """

    paper: ClassVar[str] = (
        "Chu et al. 2021, FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural "
        "Architecture Search, arXiv:1907.01845"
    )

    def passes(self, space: Space) -> int:
        """One pass per operation."""
        return len(space.operations)

    def path(self, edges: int, operations: int, moment: Moment) -> Tensor:
        """Take this pass's place in the step's permutations."""
        draws = replace(moment, part=0).generator(self.name)  # the same for all passes
        orders = torch.Generator().manual_seed(draws.initial_seed())
        drawn = [torch.randperm(operations, generator=orders) for _ in range(edges)]
        return torch.stack(drawn)[:, moment.part]
