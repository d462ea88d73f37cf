"""Training single paths without an alpha: what uniform and fair sampling share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from bench.spaces import Active, Space
from bench.variants import Moment, Variant


class Sampling(Variant):
    """Every pass of a weight step runs one drawn path; the supernet's score chooses the cell."""

    learns_architecture: ClassVar[bool] = False
    samples_path: ClassVar[bool] = True
    default_selection: ClassVar[str | None] = "best_sampled"

    @abstractmethod
    def path(self, edges: int, operations: int, moment: Moment) -> Tensor:
        """Draw a number below ``operations`` for every edge [E]."""

    def _path(self, architecture: dict[str, Tensor], moment: Moment) -> list[int]:
        """Draw a path of the operations that compete; all of them unless another variant limits."""
        finite = torch.isfinite(architecture["alpha"])
        competing = [row.nonzero().flatten().tolist() for row in finite.cpu()]
        drawn = self.path(finite.shape[0], finite.shape[1], moment).tolist()
        return [left[place % len(left)] for left, place in zip(competing, drawn, strict=True)]

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Replace the mixture by the drawn path, or by the uniform mixture while measuring."""
        if moment.phase == "evaluate":
            return torch.full_like(weights, 1 / weights.shape[-1])
        path = torch.tensor(self._path(architecture, moment))
        return torch.nn.functional.one_hot(path, weights.shape[-1]).to(weights)

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
        """Run the drawn path only."""
        if moment.phase == "evaluate":
            return None
        return space.active(tuple(self._path(architecture, moment)))

    def updates_architecture(self, moment: Moment) -> bool:
        """Never."""
        return False
