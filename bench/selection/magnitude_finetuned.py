"""The largest mixture weight of every edge, with the supernet tuned between the edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.selection._projection import Projection

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class MagnitudeFinetuned(Projection):
    """As `perturbation`, but an edge keeps its largest mixture weight: the control for DARTS-PT.

    It tells what the tuning does from what the criterion does. With ``epochs: 0`` it is `argmax`.
    """

    paper: ClassVar[str] = (
        "Wang et al. 2021, Rethinking Architecture Selection in Differentiable NAS (DARTS-PT), "
        "arXiv:2108.04392 (its ablation of progressive tuning)"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"epochs": 5, "lr": 0.0025, "learn_alpha": True},
    }

    def strongest(
        self, setup: SearchView, state: StateView, edge: int, operations: list[int]
    ) -> int:
        """Compare the weights."""
        weights = setup.mixture(state)[edge].tolist()
        return max(operations, key=weights.__getitem__)

    def importance(
        self, setup: SearchView, stage: SearchView, state: StateView, edge: int, operation: int
    ) -> tuple[float, float]:
        """Return the operation's mixture weight among those that competed, the edge weighed."""
        return float(setup.strength(state)[edge, operation]), 0.0
