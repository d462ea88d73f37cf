"""What is searched: the contract of a search space, its supernet and its networks."""

from __future__ import annotations

import contextlib
import functools
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from bench.contracts.hooks import CompiledSteps
from bench.contracts.member import Member


@dataclass(frozen=True)
class Size:
    """How large a supernet is, roughly; for estimates of what a run will take.

    Attributes
    ----------
    operations
        Multiply–adds of one forward pass per image.
    weights
        Numbers that are learned.
    kept
        Numbers that a forward pass keeps for the backward one, per image.
    """

    operations: float
    weights: int
    kept: int


@dataclass(frozen=True)
class Look:
    """How an operation is shown: its short name, and its colour on white and on black."""

    short: str
    colour: str


SPARE = ("#45a5dd", "#2b7fd4", "#0a9a70", "#8a7fd6", "#c25fa0", "#5d6fae", "#2f9e9e")
"""Colours of operations that have none of their own, in turn."""

Architecture = tuple[int, ...]
"""A discretised cell: the index of the chosen operation for every searched edge.

−1 where the discretised cell lacks the edge, in spaces that keep some of them only.
"""

Active = Sequence[Sequence[int]]
"""For every edge, the indices of the operations that are run; a static choice, not a tensor."""


Portion = tuple[nn.Parameter, slice]
"""A tensor that operations share, and the rows of it that belong to one of them."""


class Supernet(nn.Module):
    """A network with every operation on every edge.

    ``forward(images, mixture, active=None, hooks=None)`` takes images [B, C, H, W] and the mixture
    weights [E, O] (rows: edges, columns: operations; not necessarily summing to one) and returns
    logits [B, classes]. ``active`` limits what is run, ``hooks`` transform what happens in a cell.
    Weights are shared with no one; the architecture parameters are not part of the module.
    """

    compiled: bool = False
    """Whether a compiled kernel does what it can of PyTorch's work; equal to rounding."""

    inductor: CompiledSteps | None = None
    """What runs the passes of a search step as compiled graphs; None: nothing does."""

    @functools.cached_property
    def named(self) -> dict[str, nn.Parameter]:
        """The weights by name, looked up once: walking the modules takes longer than small cells do."""
        return dict(self.named_parameters())

    @functools.cached_property
    def buffered(self) -> bool:
        """Whether forward passes may change buffers."""
        return next(iter(self.buffers()), None) is not None

    @property
    def kernel(self) -> str:
        """What does the work, where it can: ``torch``, ``compiled`` or ``inductor``."""
        return "inductor" if self.inductor else "compiled" if self.compiled else "torch"

    def step(self) -> AbstractContextManager[None]:
        """Surround one update of a search: within it compiled graphs may be used."""
        return contextlib.nullcontext() if self.inductor is None else self.inductor.step()

    def operations(self) -> Iterator[list[Portion]]:
        """Yield all weights of one operation of one edge of one cell, of those that share tensors."""
        return iter(())

    def portions(self) -> Iterator[Portion]:
        """Yield the rows of stacked weights that belong to one operation of one edge."""
        return (portion for own in self.operations() for portion in own)

    def prepare_kernel(self) -> bool:
        """Compile or load the kernel for this supernet's sizes; False where there is none for it."""
        return False

    def widen(
        self,
        before: int,
        after: int,
        momentum: Callable[[Tensor], Tensor | None],
        generator: torch.Generator,
    ) -> None:
        """Go from mixing C/before channels to C/after: new channels copy old ones (Net2Net).

        ``momentum`` gives the optimiser's buffer of a weight, which is widened along.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be widened")

    def statistics_from(self, rows: int | None) -> AbstractContextManager[None]:
        """Meanwhile, take batch norms' statistics from the first ``rows`` images of each batch.

        They normalise the whole batch; running statistics are neither used nor updated. None:
        no change.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot choose its statistics")

    def paths(
        self, images: Tensor, architectures: Sequence[Architecture]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (position, logits [B, classes]) of single-path networks, in any order.

        The same as one forward pass per architecture with a one-hot mixture; a space overrides
        it where work can be shared. Not differentiable.
        """
        for position, cell in enumerate(architectures):
            mixture = images.new_ones(len(cell), max(cell) + 1)
            yield position, self(images, mixture, [[o] if o >= 0 else [] for o in cell])


class Standalone(nn.Module):
    """A discretised network as it is trained on its own; ``forward(images) → logits``.

    Attributes
    ----------
    drop_path
        Probability with which an operation's output is dropped for an image while training.
    draws
        Where what it draws comes from; None: torch's global stream.
    """

    drops_paths: ClassVar[bool] = False
    """Whether ``drop_path`` has an effect."""
    drop_path: float = 0.0
    draws: torch.Generator | None = None

    def count(self) -> int:
        """Count the weights, those of an auxiliary head left out."""
        return sum(parameter.numel() for parameter in self.parameters())

    def both(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits [B, classes] and, while training, the auxiliary head's where it has one."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, in, H, W] to logits [B, classes]."""
        return self.both(images)[0]


class Space(Member):
    """A search space: operations, supernet, networks, encodings, isomorphism."""

    if TYPE_CHECKING:  # constants of a space, or what its fields say

        @property
        def operations(self) -> tuple[str, ...]:
            """The operations in the order of alpha's columns."""

        @property
        def edges(self) -> tuple[tuple[int, int], ...]:
            """The searched edges (from, to), in the order of the rows of alpha.

            Where a network has cells of several kinds, nodes of different kinds have different
            numbers, so that edges with the same end enter the same node.
            """

        @property
        def channels(self) -> int:
            """C: what an edge's channels are a multiple of."""

    weight_free: ClassVar[frozenset[str]]
    """Operations without weights, `none` included."""
    enumerable: ClassVar[bool] = True
    """Whether there are few enough cells for `architectures` and `unique`."""
    evaluated: ClassVar[dict[str, Any]] = {}
    """Fields with the sizes at which its architectures are evaluated, where these are others."""
    recipe: ClassVar[dict[str, Any]] = {}
    """How its networks are trained from scratch where it is not as `bench.training.train` does."""
    widens: ClassVar[bool] = True
    """Whether the supernet can be widened between stages."""
    looks: ClassVar[dict[str, Look]] = {}
    """Operation → how it is shown; warm: without weights, blue: convolutions, grey: nothing."""
    published: ClassVar[dict[str, dict[str, float]]] = {}
    """Measurement → ``best`` and ``mean`` that a complete table of it must show."""

    @abstractmethod
    def supernet(self, in_channels: int, classes: int, seed: int, **options: Any) -> Supernet:
        """Build a supernet whose initial weights depend on ``seed`` alone."""

    @abstractmethod
    def size(self, resolution: int) -> Size:
        """Say how large the supernet is for images of this many pixels a side."""

    @abstractmethod
    def network(
        self, architecture: Architecture, in_channels: int, classes: int, seed: int
    ) -> nn.Module:
        """Build the discretised network of one cell: ``forward(images) → logits``.

        The supernet at the one-hot mixture of the cell, given the same weights, is this network.
        """

    @abstractmethod
    def standalone(
        self,
        architecture: Architecture,
        in_channels: int,
        classes: int,
        seed: int,
        auxiliary: bool = False,
    ) -> Standalone:
        """Build the network of one cell as it is trained from scratch to say what it is worth.

        Raises
        ------
        ValueError
            Where an auxiliary head is asked for and the space's networks have none.
        """

    @abstractmethod
    def encode(self, architecture: Architecture) -> str:
        """Write a cell as the field writes it."""

    @abstractmethod
    def decode(self, text: str) -> Architecture:
        """Read a cell; raises ValueError with what is wrong."""

    def spell(self, text: str) -> str:
        """Return the one way a cell's text is written; raises ValueError with what is wrong."""
        return self.encode(self.decode(text))

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Hashable:
        """Return what all isomorphic cells share and no others."""

    @abstractmethod
    def architectures(self) -> Iterator[Architecture]:
        """Enumerate every cell in a fixed order; only where the space is small enough."""

    @abstractmethod
    def unique(self) -> Sequence[Architecture]:
        """Return one representative of every class of isomorphic cells, in enumeration order."""

    @abstractmethod
    def connected(self, architecture: Architecture) -> bool:
        """Say whether anything of the input reaches the output."""

    @abstractmethod
    def parameters(self, architecture: Architecture) -> int:
        """Count the weights of a cell's operations, in a unit of the space (a baseline score)."""

    def look(self, operation: str) -> Look:
        """Return how an operation is shown."""
        if (found := self.looks.get(operation)) is not None:
            return found
        others = [name for name in self.operations if name not in self.looks]
        place = others.index(operation) if operation in others else 0
        return Look(operation, SPARE[place % len(SPARE)])

    def short(self, text: str) -> str:
        """Write a cell's text in less room, for tables."""
        return text

    def draw(self, text: str) -> str:
        """Return a cell as inline SVG; its text, escaped, where it cannot be drawn."""
        return f"<code>{escape(text)}</code>"

    @property
    def edge_names(self) -> list[str]:
        """What pages call the edges."""
        return [f"{a} → {b}" for a, b in self.edges]

    @property
    def parts(self) -> dict[str, range]:
        """The rows of alpha of every kind of cell; empty where there is one kind."""
        return {}

    @property
    def drawn(self) -> frozenset[str]:
        """Operations whose output is N(0, 1), drawn by the search whatever comes in."""
        return frozenset()

    @property
    def halving(self) -> frozenset[int]:
        """The edges whose operations have stride 2."""
        return frozenset()

    def deepened(self, cells: int) -> Space:
        """Return the space with a supernet of so many more cells.

        Raises
        ------
        ValueError
            Where its supernets have one depth.
        """
        raise ValueError(f"{self.name} cannot be deepened")

    def candidates(self) -> Active | None:
        """Name the operations of every edge, where edges have different ones; None: all."""
        return None

    def keeps(self) -> int | None:
        """Return how many of its edges a node of a discretised cell keeps; None: all."""
        return None

    @property
    def eligible(self) -> Sequence[int]:
        """Indices of the operations that a discretised cell may have."""
        return range(len(self.operations))

    def discretise(self, strength: Tensor) -> Architecture:
        """Read a cell off the strengths of operations [E, O]; the first of equals wins."""
        return tuple(strength.argmax(dim=-1).tolist())

    def sample(self, count: int, draws: torch.Generator) -> list[Architecture]:
        """Draw cells uniformly, with repetition."""
        shape = (count, len(self.edges))
        drawn = torch.randint(len(self.operations), shape, generator=draws)
        return [tuple(row) for row in drawn.tolist()]

    def thin(self, path: Sequence[int], draws: torch.Generator) -> Architecture:
        """Drop edges of a path with an operation on each until nodes have as many as they keep."""
        return tuple(path)

    def active(self, architecture: Architecture) -> Active:
        """Return the activity of one path: a single operation on every edge, or none."""
        return [[o] if o >= 0 else [] for o in architecture]

    def one_hot(self, architecture: Architecture) -> Tensor:
        """Return the mixture [E, O] of one path."""
        mixture = torch.zeros(len(self.edges), len(self.operations))
        for edge, operation in enumerate(architecture):
            if operation >= 0:
                mixture[edge, operation] = 1.0
        return mixture

    def count(self, architecture: Architecture, *operations: str) -> int:
        """Count the edges that carry one of the named operations."""
        wanted = {i for i, name in enumerate(self.operations) if name in operations}
        return sum(operation in wanted for operation in architecture)

    def describe(self, architecture: Architecture) -> dict[str, float]:
        """Describe a cell: ``skip_count`` and ``weight_free_share`` of the edges that it has.

        Where there are several kinds of cells, also of each: ``skip_count_normal`` and so on.
        """
        found: dict[str, float] = {}
        parts = {"": range(len(architecture))} | {f"_{k}": v for k, v in self.parts.items()}
        for suffix, rows in parts.items():
            own = tuple(architecture[row] for row in rows if architecture[row] >= 0)
            found[f"skip_count{suffix}"] = self.count(own, "skip_connect")
            found[f"weight_free_share{suffix}"] = self.count(own, *self.weight_free) / len(own)
        return found
