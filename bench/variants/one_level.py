"""One level instead of two: weights and architecture learn from the same images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from bench.contracts.moment import Half
from bench.contracts.variant import Variant


class OneLevel(Variant):
    """Both updates of a step use the same batch: alternating descent on one loss.

    ``train``
        The training half alone; the validation half is left for measuring and ranking.
    ``union``
        Both halves, as in DARTS's own one-level controls. The number of steps per epoch stays that
        of one half, so that runs of equal epochs make equally many updates.

    DARTS reports two such controls: alternating (coordinate) descent, which this is, and one update
    of w and α together, from which this differs by the order within a step (see ``search.order``).
    There is no off: it has no strength.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"images": "union"}}

    images: Literal["train", "union"] = Field("train", description="what both updates see")

    def halves(self) -> dict[str, Half]:
        """Give both updates the same images."""
        return {"train": self.images, "valid": self.images}
