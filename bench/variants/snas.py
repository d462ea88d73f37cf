"""SNAS: mixtures drawn from the concrete distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from bench.contracts.moment import Moment
from bench.variants._gumbel import Gumbel


class Snas(Gumbel):
    """A soft draw softmax((log softmax(α) + g)/τ), g ~ Gumbel(0, 1), at every update.

    All operations run; as τ falls, draws approach one-hot. Measuring sees softmax(α).

    Paper and code: the paper trains w and α on one loss over the same data; add `one_level` for
    that. Its resource penalty is left out. The authors' code (SNAS-Series) keeps τ at 1 unless its
    annealing is switched on (preset ``snas_series``); the default, 10 → 1 linearly over E, is that of
    DrNAS's NAS-Bench-201 comparison (preset ``drnas``). There is no off: as τ grows, the mixture tends to
    uniform, not to softmax(α).
    """

    paper: ClassVar[str] = (
        "Xie et al. 2019, SNAS: Stochastic Neural Architecture Search, arXiv:1812.09926"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "drnas": {"start": 10.0, "end": 1.0},
        "snas_series": {"start": 1.0, "end": 1.0},
    }

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the drawn mixture [E, O]; softmax(α) while measuring."""
        alpha = architecture["alpha"]
        return alpha.softmax(-1) if moment.phase == "evaluate" else self.soft(alpha, moment)
