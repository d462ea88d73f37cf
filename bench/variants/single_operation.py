"""A supernet of one operation: what a network of nothing but skips, pools or convolutions can do."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bench.contracts.moment import Moment
from bench.contracts.registry import did_you_mean
from bench.contracts.space import Active, Space
from bench.contracts.variant import Variant


class SingleOperation(Variant):
    """Every edge of every cell runs one operation, at weight one; no alpha is learned.

    The control for the explanation that operations without weights let a network converge faster:
    train one such network per operation and compare when they reach the same loss
    (`loss_crossing`). Stem, reductions and head have weights, so that all of them train; with
    `none` nothing of the image passes a cell, and only the classes' frequencies are learned. There
    is no off: it has no strength.
    """

    paper: ClassVar[str] = (
        "a control of this suite; the effect is discussed by Zela et al. 2020, arXiv:1909.09656, "
        "and Chu et al. 2020, Fair DARTS, arXiv:1911.12126"
    )
    learns_architecture: ClassVar[bool] = False

    only: str = Field("skip_connect", description="the operation that is left")

    def candidates(self, space: Space, moment: Moment) -> Active:
        """Leave the operation alone on every edge."""
        if self.only not in space.operations:
            hint = did_you_mean(self.only, list(space.operations))
            raise ValueError(f"single_operation.only: {space.name} has no {self.only!r}; {hint}")
        return [[space.operations.index(self.only)] for _ in space.edges]

    def updates_architecture(self, moment: Moment) -> bool:
        """Never."""
        return False
