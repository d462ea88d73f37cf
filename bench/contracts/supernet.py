"""What a space builds: the supernet of a search, and the network of one cell.

Both are part of the contract of a space (`bench.contracts.space`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.contracts.hooks import CompiledSteps

Architecture = tuple[int, ...]
"""A discretised cell: the index of the chosen operation for every searched edge.

−1 where the discretised cell lacks the edge, in spaces that keep some of them only.
"""

Active = Sequence[Sequence[int]]
"""For every edge, the indices of the operations that are run; a static choice, not a tensor."""

Portion = tuple[nn.Parameter, slice]
"""A tensor that operations share, and the rows of it that belong to one of them."""


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
        """Surround one update of a search: within it compiled graphs may be used.

        Returns
        -------
        AbstractContextManager[None]
            Entered before the update and left after it.
        """
        return contextlib.nullcontext() if self.inductor is None else self.inductor.step()

    def operations(self) -> Iterator[list[Portion]]:
        """Yield all weights of one operation of one edge of one cell, of those that share tensors.

        Yields
        ------
        list[Portion]
            Tensors and the rows of each that belong to the operation; nothing where none are shared.
        """
        return iter(())

    def portions(self) -> Iterator[Portion]:
        """Yield the rows of stacked weights that belong to one operation of one edge.

        Yields
        ------
        Portion
            A tensor, and its rows.
        """
        return (portion for own in self.operations() for portion in own)

    def prepare_kernel(self) -> bool:
        """Compile or load the kernel for this supernet's sizes; False where there is none for it.

        Returns
        -------
        bool
            Whether it is ready.
        """
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

        Parameters
        ----------
        before, after
            1/K of the channels that were mixed, and that are to be: 4 and 2 for C/4 and C/2.
        momentum
            Weight → the optimiser's buffer of it, or None.
        generator
            Draws which channels are copied.

        Raises
        ------
        NotImplementedError
            Where the space's supernets cannot be widened.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be widened")

    def statistics_from(self, rows: int | None) -> AbstractContextManager[None]:
        """Meanwhile, take batch norms' statistics from the first ``rows`` images of each batch.

        They normalise the whole batch; running statistics are neither used nor updated. None:
        no change.

        Parameters
        ----------
        rows
            Images of each batch, the first ones.

        Returns
        -------
        AbstractContextManager[None]
            Entered before the passes and left after them.

        Raises
        ------
        NotImplementedError
            Where the space's supernets have no such statistics.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot choose its statistics")

    def paths(
        self, images: Tensor, architectures: Sequence[Architecture]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (position, logits [B, classes]) of single-path networks, in any order.

        The same as one forward pass per architecture with a one-hot mixture; a space overrides
        it where work can be shared. Not differentiable.

        Parameters
        ----------
        images
            [B, C, H, W].
        architectures
            Cells.

        Yields
        ------
        tuple[int, Tensor]
            Position in ``architectures``, and logits [B, classes].
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
        """Count the weights, those of an auxiliary head left out.

        Returns
        -------
        int
            Numbers that are learned.
        """
        return sum(parameter.numel() for parameter in self.parameters())

    def both(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits [B, classes] and, while training, the auxiliary head's where it has one.

        Parameters
        ----------
        images
            [B, in, H, W].

        Returns
        -------
        tuple[Tensor, Tensor | None]
            (logits [B, classes], the auxiliary head's logits [B, classes] or None).

        Raises
        ------
        NotImplementedError
            Unless a space's network says what it does.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, in, H, W] to logits [B, classes].

        Parameters
        ----------
        images
            [B, in, H, W].

        Returns
        -------
        Tensor
            Logits [B, classes].
        """
        return self.both(images)[0]
