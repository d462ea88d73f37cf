"""Operation shrinking (P-DARTS): the weakest operations of every edge leave in stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.stages import stage, within_stage
from bench.contracts.variant import Variant
from bench.streams import seed_of
from bench.variants._shrinking import strongest

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class OperationShrinking(Variant):
    """The search has equal stages; after each, every edge keeps its ``keep`` strongest operations.

    With ``restart`` each stage begins anew: weights, α, both optimisers and the weights' learning
    rate, which runs down its cosine in every stage. ``deeper`` adds cells to the supernet of each
    later stage. α is frozen for the share ``warmup`` of every stage.

    Preset ``paper`` is P-DARTS in the DARTS space: three stages (of 25 epochs, so that
    ``search.epochs`` is 75), α frozen in 10 of each, 8 → 5 → 3 operations, 5 → 11 → 17 cells
    (``space.layers: 5``). It goes with `skip_dropout` of the same preset, whose schedule begins anew
    in every stage, and with the selection `limited_skips`. ``nb201`` is this suite's scaling to the
    five operations of NAS-Bench-201, 5 → 3 → 2 at one depth; no paper has it.

    Paper and code: the code also searches with batch 96, the learning rate down to 0, weight decay
    3e-4 and α lr 6e-4, and clips the gradient of α at 5: override ``search`` for these but the last.
    """

    paper: ClassVar[str] = (
        "Chen et al. 2019, Progressive Differentiable Architecture Search (P-DARTS), "
        "arXiv:1904.12760"
    )
    ranks_operations: ClassVar[bool] = True
    off: ClassVar[dict[str, Any] | None] = {"keep": (), "warmup": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"keep": (5, 3), "restart": True, "warmup": 0.4, "deeper": (6, 12)},
        "nb201": {"keep": (3, 2), "restart": True, "warmup": 0.4},
    }

    keep: tuple[int, ...] = Field((3, 2), description="operations per edge from each stage on")
    restart: bool = Field(True, description="begin every stage with fresh weights, α and rate")
    warmup: float = Field(0.4, ge=0, lt=1, description="share of a stage in which α is frozen")
    deeper: tuple[int, ...] = Field(
        (), description="cells more than the first stage's, for each later stage; none: one depth"
    )

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.deeper and len(self.deeper) != len(self.keep):
            raise ValueError(f"deeper: {len(self.keep)} later stages, as keep says")
        if self.deeper and not self.restart:
            raise ValueError("deeper: a supernet that grows begins anew; say restart: true")
        return self

    @property
    def stages(self) -> int:
        """One more than there are changes, where stages begin anew."""
        return len(self.keep) + 1 if self.restart else 1

    def grown(self, space: Space, epoch: int, epochs: int) -> Space:
        """Add the stage's cells."""
        now = stage(epoch, epochs, len(self.keep) + 1)
        return space.deepened(self.deeper[now - 1]) if self.deeper and now else space

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Return what the last stages left."""
        kept: Active | None = moment.memory.get(self.name)
        return kept

    def updates_architecture(self, moment: Moment) -> bool:
        """Wait for the warm-up of the stage."""
        return within_stage(moment.epoch, moment.epochs, len(self.keep) + 1) >= self.warmup

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Shrink at the end of a stage."""
        epochs, stages = setup.settings.search.epochs, len(self.keep) + 1
        now = stage(state.epoch, epochs, stages)
        if state.epoch >= epochs or now == stage(state.epoch - 1, epochs, stages):
            return
        state.memory[self.name] = strongest(setup, state, self.keep[now - 1])
        if self.restart:
            from bench.search.setup import (  # only when it acts: saves start-up time
                Setup,
                initial_state,
            )
            from bench.search.state import SearchState  # late: saves start-up time

            seed = seed_of(setup.seed, self.name, now)
            fresh = initial_state(Setup.of(setup).having(seed=seed), state.epoch)
            # Between two steps the rate is that of the last one, whoever steps next.
            rate = state.weight_optimizer.param_groups[0]["lr"]
            fresh.weight_optimizer.param_groups[0]["lr"] = rate
            SearchState.of(state).adopt(fresh)
