"""How long training takes to reach a given loss."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field

from bench.contracts.instrument import Instrument, Reading
from bench.instruments._inside import frozen_loss
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings


Level = Annotated[float, Field(gt=0)]


class LossCrossing(Instrument):
    """The epoch in which the supernet's loss on frozen training images falls to ``loss``.

    Several losses can be asked about: a threshold is a choice, and what holds at one alone holds at
    none. ``crossing_loss`` is the mean cross-entropy at the end of the epoch, batch statistics, nothing
    dropped or augmented. ``crossing_epochs`` is when it was first at or below ``loss``, in epochs
    from the start, linearly between two readings; the first reading's epoch where that is there
    already, so read every epoch. ``crossing_steps`` is the same in weight steps. Both are NaN for as
    long as the loss has not been reached. Where ``loss`` is a list, the loss is a part of their names:
    ``crossing_epochs_1.5``.

    With `single_operation` it tells which operations let a network converge faster.
    """

    cost: ClassVar[str] = "batches/3 F"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("crossing_loss", "loss on frozen training images", "nats", 3, "lower"),
        reading(
            "crossing_epochs*",
            "epochs until that loss is reached",
            "epochs",
            2,
            "lower",
            censored=True,
        ),
        reading("crossing_steps*", "weight steps until then", "steps", 0, "lower", censored=True),
    )

    loss: Level | Annotated[tuple[Level, ...], Field(min_length=1)] = Field(
        1.0, description="cross-entropy to reach, in nats; a list: several"
    )
    batches: int = Field(8, ge=1, description="training batches, the same at every reading")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return self.batches / 3

    @torch.no_grad()
    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        now = frozen_loss(setup, state, self.name, self.batches)
        read = [(e["epoch"], e["crossing_loss"]) for e in state.history if "crossing_loss" in e]
        found = {"crossing_loss": now}
        several = isinstance(self.loss, tuple)
        for level in self.loss if isinstance(self.loss, tuple) else (self.loss,):
            reached, suffix = crossing([*read, (state.epoch, now)], level), f"_{level:g}"
            found["crossing_epochs" + suffix * several] = reached
            found["crossing_steps" + suffix * several] = reached * setup.steps_per_epoch
        return found


def crossing(readings: Sequence[tuple[float, float]], level: float) -> float:
    """Return when (time, loss) readings first come down to a level; NaN where they never do."""
    if readings[0][1] <= level:
        return float(readings[0][0])
    for (t0, a), (t1, b) in itertools.pairwise(readings):
        if b <= level:
            return float(t0 + (t1 - t0) * (a - level) / (a - b))
    return float("nan")
