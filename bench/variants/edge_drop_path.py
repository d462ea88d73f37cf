"""Drop-path on the mixture of every edge (RobustDARTS)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.variant import Site, Variant


class EdgeDropPath(Variant):
    """Drop a whole edge for some images of the batch, in both updates.

    The mixture of an edge is zeroed per image with probability p and scaled by 1/(1 − p) otherwise;
    p grows linearly, p = rate·e/(E − 1), so that the last epoch has the whole rate. RobustDARTS
    uses rate 0, 0.2, 0.4, 0.6.

    Paper and code: the paper's regularisation is drop-path together with CutOut whose probability
    grows alike; CutOut is not part of this variant. The code draws once for a whole edge (its
    mixture, skip included), as here, unlike DARTS's own drop-path, which spares skips.
    """

    paper: ClassVar[str] = (
        "Zela et al. 2020, Understanding and Robustifying Differentiable Architecture Search "
        "(RobustDARTS), arXiv:1909.09656"
    )
    off: ClassVar[dict[str, Any] | None] = {"rate": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"rate": 0.6}}

    rate: float = Field(0.2, ge=0, lt=1, description="p at the end of the search")

    def probability(self, moment: Moment) -> float:
        """Return p at this epoch; nothing is dropped while measuring."""
        grown = moment.epoch / max(1, moment.epochs - 1)
        return 0.0 if moment.phase == "evaluate" else self.rate * min(1.0, grown)

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Drop the edge for some images."""
        if (p := self.probability(moment)) == 0:
            return y
        return y * moment.dropout(y[:, :1, :1, :1], p, self.name, site.cell, site.edge)
