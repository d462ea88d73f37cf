"""Weight freeze: the architecture learns first, on untrained weights."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from bench.contracts.moment import Moment
from bench.contracts.variant import Variant
from bench.variants._durations import Duration, in_epochs


class WeightFreeze(Variant):
    """The weights stand at their initial values for the first epochs while α moves.

    The opposite of `architecture_warmup`: does α already turn to weight-free operations when the
    others compute random features? Epochs in which no weight step is made report no training loss.
    A control of this suite: no paper defines it.
    """

    paper: ClassVar[str] = (
        "a control of this suite; the effect is discussed by Zela et al. 2020, arXiv:1909.09656"
    )
    off: ClassVar[dict[str, Any] | None] = {"epochs": 0}

    epochs: Duration = Field(0.2, description="epochs, or a share of the search below 1")

    def updates_weights(self, moment: Moment) -> bool:
        """Wait."""
        return moment.epoch >= in_epochs(self.epochs, moment.epochs)
