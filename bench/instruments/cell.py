"""The cell that argmax would give now: skips, weight-free share, entropy, shares of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.contracts.instrument import Instrument, Reading
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Cell(Instrument):
    """Composition of the argmax cell and of the mixture weights.

    ``skip_count`` (edges), ``weight_free_share`` (share of edges whose argmax has no weights, `none`
    included), ``alpha_entropy`` (mean over edges, in nats; ln O at the start) and ``p_<operation>``
    (mean mixture weight over edges). Where a space has normal and reduction cells, the first two
    also for each: ``skip_count_normal``, ``weight_free_share_reduce``. NaN where the search learns no alpha.
    """

    cost: ClassVar[str] = "nothing"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading(
            "skip_count*",
            "skip connections of the argmax cell; per cell type by suffix",
            "edges",
            1,
            "lower",
        ),
        reading("weight_free_share*", "share of its edges without weights", "", 2, "lower"),
        reading("alpha_entropy", "mean entropy of the mixture weights over edges", "nats"),
        reading("p_*", "mean mixture weight of an operation over edges"),
    )

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        space, mixture = setup.space, setup.mixture(state)
        cell = space.discretise(setup.strength(state))
        share = mixture / mixture.sum(dim=-1, keepdim=True)
        reading = (
            {name: float(value) for name, value in space.describe(cell).items()}
            | {
                "alpha_entropy": float(-(share * share.clamp_min(1e-12).log()).sum(-1).mean()),
            }
            | {f"p_{o}": float(p) for o, p in zip(space.operations, mixture.mean(0), strict=True)}
        )
        return (
            reading
            if setup.composition.learns_architecture
            else dict.fromkeys(reading, float("nan"))
        )
