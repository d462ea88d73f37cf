"""Operation shrinking (P-DARTS): the weakest operations of every edge leave in stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import Variant
from bench.streams import seed_of
from bench.variants._durations import stage, within_stage
from bench.variants._shrinking import strongest

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class OperationShrinking(Variant):
    """The search has equal stages; after each, every edge keeps its ``keep`` strongest operations.

    With ``restart`` each stage begins anew: weights, α and both optimisers. α is frozen for the
    share ``warmup`` of every stage.

    Paper and code: three stages of 25 epochs, α frozen in 10 of each, 8 → 5 → 3 operations; scaled
    to the five of NAS-Bench-201, 5 → 3 → 2. P-DARTS also deepens the network from stage to stage,
    restarts the learning rate, decays skip dropout within each stage (add `skip_dropout`, whose
    schedule runs over the whole search) and limits the skips of the final cell: not part of this
    variant.
    """

    paper: ClassVar[str] = (
        "Chen et al. 2019, Progressive Differentiable Architecture Search (P-DARTS), "
        "arXiv:1904.12760"
    )
    ranks_operations: ClassVar[bool] = True
    off: ClassVar[dict[str, Any] | None] = {"keep": (), "warmup": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"keep": (3, 2), "restart": True, "warmup": 0.4},
    }

    keep: tuple[int, ...] = Field((3, 2), description="operations per edge from each stage on")
    restart: bool = Field(True, description="begin every stage with fresh weights and α")
    warmup: float = Field(0.4, ge=0, lt=1, description="share of a stage in which α is frozen")

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

            seed = seed_of(setup.seed, self.name, now)
            fresh = initial_state(Setup.of(setup).having(seed=seed)).to_dict()
            own = ("step", "epoch", "running", "history", "memory", "stopped")
            state.load_dict({**fresh, **{key: getattr(state, key) for key in own}})
