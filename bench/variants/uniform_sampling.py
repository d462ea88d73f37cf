"""Uniform single-path sampling: the supernet without architecture parameters."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from bench.contracts.moment import Moment
from bench.variants._sampling import Sampling


class UniformSampling(Sampling):
    """Train one uniformly drawn path per step and learn no alpha: the control (SPOS, RSPS).

    Every edge draws one of its operations at every weight step. The cell is chosen afterwards by
    the supernet's score of sampled cells. Whether weight decay and momentum act on weights that the
    step did not use is ``search.weights.unused``: ``decay`` (the default), as in the official RSPS code
    of its time, or ``leave``, as in SPOS's. There is no off: it has no strength.
    """

    paper: ClassVar[str] = (
        "Guo et al. 2020, Single Path One-Shot Neural Architecture Search with Uniform Sampling, "
        "arXiv:1904.00420; Li and Talwalkar 2019, Random Search and Reproducibility for NAS, "
        "arXiv:1902.07638"
    )

    def path(self, edges: int, operations: int, moment: Moment) -> Tensor:
        """Draw every edge on its own."""
        draws = torch.Generator().manual_seed(moment.generator(self.name).initial_seed())
        return torch.randint(operations, (edges,), generator=draws)
