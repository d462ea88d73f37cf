"""Training single paths without an alpha: what uniform and fair sampling share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import Variant


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
            competing = torch.isfinite(architecture["alpha"]).to(weights)
            return competing / competing.sum(-1, keepdim=True)
        path = torch.tensor(self._path(architecture, moment))
        return torch.nn.functional.one_hot(path, weights.shape[-1]).to(weights)

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
        """Run the drawn path only, without the edges that a cell of the space would not keep."""
        if moment.phase == "evaluate":
            return None
        seed = replace(moment, part=0).generator(self.name, "edges").initial_seed()
        path = space.thin(self._path(architecture, moment), torch.Generator().manual_seed(seed))
        return space.active(path)

    def updates_architecture(self, moment: Moment) -> bool:
        """Never."""
        return False
