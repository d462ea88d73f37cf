"""The cell that argmax would give now: skips, weight-free share, entropy, shares of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.instruments import Instrument, Reading

if TYPE_CHECKING:
    from bench.setup import Setup
    from bench.state import SearchState


class Cell(Instrument):
    """Composition of the argmax cell and of the mixture weights.

    ``skip_count`` (edges), ``weight_free_share`` (share of edges whose argmax has no weights, `none`
    included), ``alpha_entropy`` (mean over edges, in nats; ln O at the start) and ``p_<operation>``
    (mean mixture weight over edges). NaN where the search learns no alpha.
    """

    cost: ClassVar[str] = "nothing"

    def observe(self, setup: Setup, state: SearchState) -> Reading:
        """See `Instrument.observe`."""
        space, mixture = setup.space, setup.mixture(state)
        cell = tuple(mixture.argmax(dim=-1).tolist())
        share = mixture / mixture.sum(dim=-1, keepdim=True)
        reading = {
            "skip_count": float(space.count(cell, "skip_connect")),
            "weight_free_share": space.count(cell, *space.weight_free) / len(cell),
            "alpha_entropy": float(-(share * share.clamp_min(1e-12).log()).sum(-1).mean()),
        } | {f"p_{o}": float(p) for o, p in zip(space.operations, mixture.mean(0), strict=True)}
        return (
            reading
            if setup.composition.learns_architecture
            else dict.fromkeys(reading, float("nan"))
        )
