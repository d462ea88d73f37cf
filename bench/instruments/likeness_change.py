"""How much more alike the operations of an edge have become since the search began."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from bench.contracts.instrument import Instrument, Reading
from bench.instruments._inside import frozen_loss
from bench.instruments.co_adaptation import CoAdaptation
from bench.metrics import Metric, reading

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings

QUANTITIES = ("cka", "correlation", "vif")


class LikenessChange(Instrument):
    """Likeness of the outputs of an edge's operations, minus that at the untrained weights.

    Outputs of untrained operations are alike already, since they share their input; what training
    together adds is the change. ``likeness_cka``, ``likeness_correlation`` and ``likeness_vif`` are
    means over edges and cells, as `co_adaptation` defines them, now minus the same with the weights
    of the start, on the same images and under the present mixture.

    A net that has learned more has changed more, whatever its operations do to each other. So
    ``likeness_loss``, the mean cross-entropy on frozen training images under the mixture, nothing
    dropped, goes with it: two searches are compared where they had the same
    (``matched: likeness_loss`` of a criterion).
    """

    paper: ClassVar[str] = (
        "Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, "
        "arXiv:1905.00414 (CKA)"
    )
    cost: ClassVar[str] = "batches F, twice the products of `co_adaptation`, and a supernet built"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("likeness_cka", "linear CKA of an edge's operations, now minus untrained"),
        reading("likeness_correlation", "their absolute correlation, now minus untrained"),
        reading("likeness_vif", "variance inflation of one on the others, now minus untrained"),
        reading("likeness_loss", "loss on frozen training images", "nats", 3, "lower"),
    )

    batches: int = Field(8, ge=1, description="batches of each half, the same at every reading")
    positions: int | None = Field(
        16, ge=1, description="pixels per image that are compared, drawn; null: all"
    )

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`."""
        return float(self.batches)

    @torch.no_grad()
    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        from bench.search.setup import Setup, initial_state  # late: saves start-up time

        compared = CoAdaptation(batches=self.batches, positions=self.positions)
        fresh = initial_state(Setup.of(setup), state.epoch)
        # What is not the weights is as it is now: α, what variants remember, the moment.
        fresh.architecture, fresh.memory = state.architecture, state.memory
        fresh.step, fresh.epoch = state.step, state.epoch
        now, then = compared.observe(setup, state), compared.observe(setup, fresh)
        names = {q: f"coadaptation_{q}_mean" for q in QUANTITIES}
        found = {f"likeness_{q}": now[name] - then[name] for q, name in names.items()}
        return found | {"likeness_loss": frozen_loss(setup, state, self.name, self.batches)}
