"""Batch norm on the operations without weights."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class NormOnWeightFree(Variant):
    """Normalise what skips and pools give, as convolutions are: affine-free, batch statistics.

    Convolutions end in batch norm, `skip_connect` and `avg_pool_3x3` of NAS-Bench-201 do not, so
    that their outputs, and the gradients of their mixture weights, differ in scale. This control
    takes the difference away; what then remains of the preference is not a matter of scale. The
    original DARTS code has a batch norm after pools but not after skips (``operations:
    [avg_pool_3x3, max_pool_3x3]``).
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS, arXiv:1806.09055 (its code, after pools); as a control, this suite"
    )
    touches: ClassVar[tuple[str, ...]] = ("skip_connect", "avg_pool_3x3", "max_pool_3x3")
    off: ClassVar[dict[str, Any] | None] = {"operations": ()}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"operations": ("avg_pool_3x3", "max_pool_3x3")},
    }

    operations: tuple[str, ...] = Field(touches, description="which of them are normalised")

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Normalise [B, C, H, W] per channel."""
        return (
            F.batch_norm(y, None, None, training=True) if site.operation in self.operations else y
        )
