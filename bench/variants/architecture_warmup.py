"""Architecture warm-up: the weights learn first, under the initial mixture."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant
from bench.variants._durations import Duration, in_epochs


class ArchitectureWarmup(Variant):
    """α is frozen for the first epochs; the weights of all operations train on softmax(α).

    The usual warm-up: PC-DARTS freezes α for 15 of 50 epochs, P-DARTS for 10 of 25. ``epochs:
    null`` never lets α move: every operation keeps its near-uniform weight, which is what DARTS-PT
    with fixed α trains. See `weight_warmup` for a head start of the operations that have weights,
    and `weight_freeze` for the opposite.
    """

    paper: ClassVar[str] = (
        "Xu et al. 2020, PC-DARTS, arXiv:1907.05737; Chen et al. 2019, P-DARTS, arXiv:1904.12760; "
        "Wang et al. 2021, DARTS-PT, arXiv:2108.04392 (fixed α)"
    )
    off: ClassVar[dict[str, Any] | None] = {"epochs": 0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"epochs": 0.3},  # PC-DARTS's 15 of 50
        "pdarts": {"epochs": 0.4},  # 10 of 25
        "fixed_alpha": {"epochs": None},
    }

    epochs: Duration | None = Field(0.3, description="epochs, or a share below 1; null: all")

    def updates_architecture(self, moment: Moment) -> bool:
        """Wait."""
        return self.epochs is not None and moment.epoch >= in_epochs(self.epochs, moment.epochs)
