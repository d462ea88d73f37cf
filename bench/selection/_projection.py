"""Edge after edge becomes one operation while the supernet is tuned in between (DARTS-PT)."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.selection import Selection
from bench.contracts.space import Active, Architecture, Space
from bench.contracts.variant import Variant
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Projected(Variant):
    """Edges that have been decided: their mixture is one-hot and no other operation competes."""

    name: ClassVar[str] = "projected"
    midway: ClassVar[bool] = True

    decided: dict[int, int]
    learns: bool
    dropped: frozenset[int] = frozenset()
    """Edges that the cell will not have: they give nothing."""

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Put a one in the decided rows."""
        rows = list(weights)
        for edge, operation in self.decided.items():
            rows[edge] = torch.zeros_like(rows[edge])
            if edge not in self.dropped:
                rows[edge][operation] = 1.0
        return torch.stack(rows)

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Leave the decided operation alone on its edge."""
        everything = list(range(len(space.operations)))
        edges = range(len(space.edges))
        return [[self.decided[e]] if e in self.decided else everything for e in edges]

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
        """Run nothing on dropped edges."""
        if not self.dropped:
            return None
        everything = range(len(space.operations))
        return [[] if e in self.dropped else everything for e in range(len(space.edges))]

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether alpha learns on."""
        return self.learns


class Projection(Selection):
    """Decide the edges in random order, tuning the supernet after each; works on a copy.

    Where there are several kinds of cells, an edge of each is decided between two tunings. Where
    nodes keep some of their edges only, these are chosen afterwards, a node of every kind of cell
    between two tunings, in random order: the least important edge leaves until enough are left.
    """

    epochs: int = Field(5, ge=0, description="tuning epochs after every edge but the last")
    lr: float = Field(0.0025, gt=0, description="constant learning rate of the weights")
    learn_alpha: bool = Field(True, description="go on learning alpha while tuning")
    images: int | None = Field(None, ge=1, description="validation images; null: the whole half")
    batch: int = Field(500, ge=2, description="images per batch, over which batch norm averages")
    masks_removed: bool = Field(
        False, description="judge a node's further edges without those that have left it already"
    )

    @abstractmethod
    def strongest(
        self, setup: SearchView, state: StateView, edge: int, operations: list[int]
    ) -> int:
        """Return the operation that the edge keeps, of those that compete on it."""

    @abstractmethod
    def importance(
        self, setup: SearchView, stage: SearchView, state: StateView, edge: int, operation: int
    ) -> tuple[float, float]:
        """Return how much a decided edge matters; of a node's edges the largest are kept.

        ``setup`` is the search's own, ``stage`` has the edges decided so far.
        """

    def select(self, setup: SearchView, state: StateView) -> Architecture:
        """See `Selection.select`."""
        tuned, decided = copy.deepcopy(state), dict[int, int]()
        tuned.weight_optimizer.state.clear()
        # What variants schedule stays as in the last epoch; data and noise go on with the step.
        tuned.epoch = max(0, min(state.epoch, setup.settings.search.epochs) - 1)
        draws = generator("cpu", setup.seed, self.name)
        edges = range(len(setup.space.edges))
        parts = list(setup.space.parts.values()) or [edges]
        competing = setup.composition.candidates(setup.moment(tuned, "evaluate"))
        intervals = _intervals(parts, draws)
        for i, interval in enumerate(intervals):
            for edge in interval:
                stage = self._tuning(setup, decided)
                everything = range(len(setup.space.operations))
                left = list(everything if competing is None else competing[edge])
                left = [o for o in left if o in setup.space.eligible] or left
                decided[edge] = self.strongest(stage, tuned, edge, left)
            if i < len(intervals) - 1 or setup.space.keeps() is not None:
                self._tune(self._tuning(setup, decided), tuned)
        dropped = self._dropped(setup, tuned, decided, draws)
        return tuple(-1 if edge in dropped else decided[edge] for edge in edges)

    def _dropped(
        self, setup: SearchView, tuned: StateView, decided: dict[int, int], draws: torch.Generator
    ) -> frozenset[int]:
        """Choose which of the decided edges the cell will not have, node by node."""
        dropped, kept = frozenset[int](), setup.space.keeps()
        if kept is None:
            return dropped
        nodes = [
            [edges for edges in _entering(setup.space, part).values() if len(edges) > kept]
            for part in setup.space.parts.values() or [range(len(setup.space.edges))]
        ]
        intervals = _intervals(nodes, draws)
        for i, interval in enumerate(intervals):
            for edges in interval:
                dropped |= self._leaving(setup, tuned, decided, dropped, edges, kept)
            if i < len(intervals) - 1:
                self._tune(self._tuning(setup, decided, dropped), tuned)
        return dropped

    def _leaving(
        self,
        setup: SearchView,
        tuned: StateView,
        decided: dict[int, int],
        dropped: frozenset[int],
        edges: list[int],
        kept: int,
    ) -> frozenset[int]:
        """Return which edges of a node leave, one after the other; of equals the last does."""
        left, gone = list(edges), frozenset[int]()
        while len(left) > kept:
            stage = self._tuning(setup, decided, dropped | gone if self.masks_removed else dropped)
            worth = {e: self.importance(setup, stage, tuned, e, decided[e]) for e in left}
            least = min(reversed(left), key=worth.__getitem__)
            left.remove(least)
            gone |= {least}
        return gone

    def _tune(self, stage: SearchView, tuned: StateView) -> None:
        """Go on with both updates for the tuning epochs."""
        # Only when it acts: saves start-up time.
        from bench.search.loop import architecture_step, weight_step
        from bench.search.setup import Setup  # late: saves start-up time
        from bench.search.state import SearchState  # late: saves start-up time

        setup, state = Setup.of(stage), SearchState.of(tuned)
        for _ in range(self.epochs * setup.steps_per_epoch):
            architecture_step(setup, state)
            weight_step(setup, state)
            state.step += 1

    def _tuning(
        self, setup: SearchView, decided: dict[int, int], dropped: frozenset[int] = frozenset()
    ) -> SearchView:
        return tuning(setup, decided, self.lr, self.learn_alpha, dropped)


T = TypeVar("T")


def _intervals(parts: Sequence[Sequence[T]], draws: torch.Generator) -> list[list[T]]:
    """Draw an order within every kind of cell, and pair what comes first, second, …"""
    orders = [
        [part[i] for i in torch.randperm(len(part), generator=draws).tolist()] for part in parts
    ]
    return [[item for item in group if item is not None] for group in zip_longest(*orders)]


def _entering(space: Space, rows: Sequence[int]) -> dict[int, list[int]]:
    """Return the edges, among these rows, that enter every node."""
    found: dict[int, list[int]] = {}
    for edge in rows:
        found.setdefault(space.edges[edge][1], []).append(edge)
    return found


def tuning(
    setup: SearchView,
    decided: dict[int, int],
    lr: float,
    learns: bool = False,
    dropped: frozenset[int] = frozenset(),
) -> SearchView:
    """Return the search with these edges decided, a constant rate, and alpha learning on or not."""
    # Only when it acts: saves start-up time.
    from bench.search.composition import Composition
    from bench.search.setup import Setup  # late: saves start-up time

    projected = Projected(decided=dict(decided), learns=learns, dropped=dropped)
    whole = Setup.of(setup)
    search = whole.settings.search
    weights = search.weights.model_copy(update={"lr": lr, "lr_min": lr})
    settings = whole.settings.model_copy(
        update={"search": search.model_copy(update={"weights": weights})}
    )
    variants = (*whole.composition.variants, projected)
    return whole.having(settings=settings, composition=Composition(variants, whole.space))
