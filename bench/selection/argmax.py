"""The strongest operation of every edge, as in DARTS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bench.contracts.selection import Selection
from bench.contracts.space import Architecture

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Argmax(Selection):
    """Keep the operation with the largest mixture weight on every edge.

    In spaces that keep some edges only, such as DARTS's own, as the space says: each node's two
    strongest edges. NAS-Bench-201's DARTS takes the argmax over all five operations; the original DARTS leaves
    `none` out (``exclude: [none]``). The first of equal operations wins.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "darts": {"exclude": ("none",)},
        "nas-bench-201": {"exclude": ()},
    }

    exclude: tuple[str, ...] = Field((), description="operations never chosen, e.g. [none]")

    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """See `Selection.select`."""
        strength = setup.strength(state).clone()
        for operation in self.exclude:
            if operation not in setup.space.operations:
                raise ValueError(f"exclude: no operation {operation!r} in {setup.space.name}")
            strength[:, setup.space.operations.index(operation)] = -float("inf")
        return setup.space.discretise(strength)
