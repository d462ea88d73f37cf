"""Weight warm-up: a head start for the operations that have weights."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import Variant
from bench.variants._durations import Duration, in_epochs


class WeightWarmup(Variant):
    """In the first epochs only operations with weights compete, and α is frozen.

    `none`, skips and pools are out: the softmax is over the others. When they enter, convolutions
    have been trained by a network that could not do without them. It is the control for the
    explanation that weight-free operations win because they help the untrained network first;
    `architecture_warmup` freezes α too but leaves weight-free operations in. A control of this
    suite: no paper defines it (Zela et al. 2020 discuss the effect).
    """

    paper: ClassVar[str] = (
        "a control of this suite; the effect is discussed by Zela et al. 2020, arXiv:1909.09656, "
        "and Wang et al. 2021, arXiv:2108.04392"
    )
    off: ClassVar[dict[str, Any] | None] = {"epochs": 0}

    epochs: Duration = Field(0.3, description="epochs, or a share of the search below 1")

    def _over(self, moment: Moment) -> bool:
        return moment.epoch >= in_epochs(self.epochs, moment.epochs)

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Leave the operations that have weights."""
        if self._over(moment):
            return None
        everything = range(len(space.operations))
        learned = [o for o in everything if space.operations[o] not in space.weight_free]
        # An edge that has no operation with weights keeps what it has.
        present = space.candidates() or [everything] * len(space.edges)
        return [[o for o in own if o in learned] or list(own) for own in present]

    def updates_architecture(self, moment: Moment) -> bool:
        """Wait."""
        return self._over(moment)
