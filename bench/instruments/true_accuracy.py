"""What the cell that argmax would give now is truly worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.contracts.instrument import Instrument, Reading
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class TrueAccuracy(Instrument):
    """Ground-truth accuracy (percent) of the argmax cell: ``true_accuracy``; NaN without truth."""

    cost: ClassVar[str] = "a table look-up"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "true_accuracy", "accuracy of the argmax cell trained on its own", "%", 2, "higher"
        ),
    )

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        if setup.truth is None or not setup.composition.learns_architecture:
            return {"true_accuracy": float("nan")}
        cell = setup.space.discretise(setup.strength(state))
        return {"true_accuracy": float(setup.truth.mean([setup.space.encode(cell)])[0])}
