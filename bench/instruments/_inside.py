"""For instruments that look inside cells: frozen probe batches, and every operation's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batches import normalise
from bench.contracts.data import Batch
from bench.contracts.moment import Moment
from bench.contracts.space import Space
from bench.contracts.variant import Variant
from bench.search.composition import BoundHooks, Composition
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


def probe(
    setup: SearchView, name: str, batches: int, half: Literal["train", "valid"] = "valid"
) -> list[Batch]:
    """Return the frozen probe set of an instrument: the same images at every reading of a run.

    Batches are as large as the search's, not augmented, and drawn from the stream of ``name``.
    Images come again only where the half has fewer than are asked for.
    """
    images = getattr(setup.data, half)
    size = min(setup.settings.search.batch, len(images))
    draws, rounds = generator("cpu", setup.seed, name, half), -(-batches * size // len(images))
    order = torch.cat([torch.randperm(len(images), generator=draws) for _ in range(rounds)])
    rows = order[: batches * size].view(batches, size).to(images.pixels.device)
    return [Batch(normalise(images, images.pixels[r]), images.labels[r]) for r in rows]


@torch.no_grad()
def frozen_loss(setup: SearchView, state: StateView, name: str, batches: int) -> float:
    """Return the mean loss (nats) under the present mixture on an instrument's training probe."""
    moment, mixture = setup.moment(state, "evaluate"), setup.mixture(state)
    losses = [
        float(F.cross_entropy(setup.logits(state, moment, b, mixture, pure=True), b.labels))
        for b in probe(setup, name, batches, "train")
    ]
    return sum(losses) / len(losses)


def competing(setup: SearchView, state: StateView) -> list[list[int]]:
    """Return the operations that still compete, for every edge."""
    found = setup.composition.candidates(setup.moment(state, "evaluate"))
    everything: Sequence[int] = range(len(setup.space.operations))
    return [list(row) for row in found or [everything] * len(setup.space.edges)]


class Watch(Protocol):
    """What is told of every operation that a forward pass runs."""

    def operation(self, y: Tensor, cell: int, edge: int, operation: int) -> Tensor:
        """See one output [B, C, H, W] after the variants' transforms; return what is weighted."""
        ...

    def edge(self, cell: int, edge: int) -> None:
        """Learn that all operations of this edge have been run."""
        ...


def watched(setup: SearchView, watch: Watch) -> SearchView:
    """Return the same search whose forward passes tell ``watch`` what happens in the cells."""
    variants = [v for v in setup.composition.variants if isinstance(v, Variant)]
    return setup.having(composition=_Watched(variants, setup.space, watch))


@dataclass(frozen=True)
class _Hooks(BoundHooks):
    """The variants' hooks, and then the watch's."""

    watch: Watch

    @property
    def recordable(self) -> bool:
        return False  # the watch wants the numbers

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        y = super().operation(y, cell=cell, edge=edge, operation=operation)
        return self.watch.operation(y, cell, edge, operation)

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        self.watch.edge(cell, edge)
        return super().edge(y, x, cell=cell, edge=edge)


class _Watched(Composition):
    def __init__(self, variants: Sequence[Variant], space: Space, watch: Watch) -> None:
        super().__init__(variants, space)
        self.watch = watch

    def hooks(self, architecture: dict[str, Tensor], moment: Moment) -> BoundHooks:
        plain = super().hooks(architecture, moment)
        touched = frozenset(range(len(self.space.operations)))
        seen = architecture if plain is None else plain.architecture
        partial = None if plain is None else plain.partial
        return _Hooks(self.variants, self.space, seen, moment, touched, True, partial, self.watch)
