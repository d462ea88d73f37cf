"""How good the supernet itself is on validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from bench.batches import plain_batches
from bench.contracts.instrument import Instrument, Reading
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings


class SupernetAccuracy(Instrument):
    """Accuracy (percent) and loss of the mixed supernet on the first validation images.

    Not augmented, batch statistics, nothing dropped: ``valid_accuracy``, ``valid_loss``.
    """

    cost: ClassVar[str] = "images/(3·batch) F"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "valid_accuracy", "accuracy of the supernet itself, mixture and all", "%", 2, "higher"
        ),
        reading("valid_loss", "validation loss of the supernet", "nats", 3, "lower"),
    )

    images: int = Field(1000, ge=1, description="validation images, the same at every reading")

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return self.images / (3 * settings.search.batch)

    @torch.no_grad()
    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        moment = setup.moment(state, "evaluate")
        mixture = setup.mixture(state)
        loss, right, seen = 0.0, 0, 0
        for batch in plain_batches(setup.data.valid, 250, self.images):
            logits = setup.logits(state, moment, batch, mixture, pure=True)
            loss += float(torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum"))
            right += int((logits.argmax(-1) == batch.labels).sum())
            seen += len(batch.labels)
        return {"valid_accuracy": 100 * right / seen, "valid_loss": loss / seen}
