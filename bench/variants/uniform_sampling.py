"""Uniform single-path sampling: the supernet without architecture parameters."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from bench.spaces import Active, Space
from bench.variants import Moment, Variant


class UniformSampling(Variant):
    """Train one uniformly drawn path per step and learn no alpha: the control (SPOS, RSPS).

    Every edge draws one of its operations at every weight step. The cell is chosen afterwards by
    the supernet's score of sampled cells. Weight decay and momentum also act on weights that the
    step did not use, as in the official RSPS code of its time.
    """

    paper: ClassVar[str] = (
        "Guo et al. 2020, Single Path One-Shot Neural Architecture Search with Uniform Sampling, "
        "arXiv:1904.00420; Li and Talwalkar 2019, Random Search and Reproducibility for NAS, "
        "arXiv:1902.07638"
    )
    learns_architecture: ClassVar[bool] = False
    default_selection: ClassVar[str | None] = "best_sampled"

    def _path(self, edges: int, operations: int, moment: Moment) -> Tensor:
        draws = torch.Generator().manual_seed(moment.generator(self.name).initial_seed())
        return torch.randint(operations, (edges,), generator=draws)

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Replace the mixture by the drawn path, or by the uniform mixture while measuring."""
        edges, operations = weights.shape
        if moment.phase == "evaluate":
            return torch.full_like(weights, 1 / operations)
        path = self._path(edges, operations, moment)
        return torch.nn.functional.one_hot(path, operations).to(weights)

    def active(self, space: Space, moment: Moment) -> Active | None:
        """Run the drawn path only."""
        if moment.phase == "evaluate":
            return None
        path = self._path(len(space.edges), len(space.operations), moment)
        return space.active(tuple(path.tolist()))

    def updates_architecture(self, moment: Moment) -> bool:
        """Never."""
        return False
