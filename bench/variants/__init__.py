"""What is changed in the search: the contract of a variant and the hooks that the loop offers.

Plain DARTS is the empty list of variants. A variant overrides the hooks that it needs and leaves
the others alone; `bench.composition` runs the hooks of several variants in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from bench.registry import Member
from bench.spaces import Active, Space
from bench.streams import Key, generator

if TYPE_CHECKING:
    from bench.state import SearchState

Phase = Literal["weights", "architecture", "evaluate"]


@dataclass(frozen=True)
class Moment:
    """When a hook is asked: the same moment always draws the same random numbers.

    Attributes
    ----------
    step
        Bilevel steps done so far, from the start of the search.
    phase
        ``weights`` or ``architecture`` (the two updates), or ``evaluate`` (measuring only).
    """

    seed: int
    epoch: int
    step: int
    epochs: int
    steps_per_epoch: int
    phase: Phase
    device: torch.device

    @property
    def progress(self) -> float:
        """How much of the search is done, 0 to 1, counted in steps."""
        return self.step / max(1, self.epochs * self.steps_per_epoch)

    def generator(self, *key: Key) -> torch.Generator:
        """Return the random stream of this moment for ``key`` (begin it with your name)."""
        return generator(self.device, self.seed, *key, self.step, self.phase)


@dataclass(frozen=True)
class Site:
    """Where inside the supernet a hook is asked."""

    cell: int
    edge: int
    operation: str = ""


@dataclass(frozen=True)
class Stop:
    """Why a search ends early, and the epoch whose architecture counts (None: the last)."""

    reason: str
    epoch: int | None = None


class Variant(Member):
    """An intervention in the search: typed parameters and any of the hooks below."""

    touches: ClassVar[tuple[str, ...]] = ()
    """Operations whose output `operation` transforms."""
    learns_architecture: ClassVar[bool] = True
    """False where alpha is not learned at all, so that reading it off would mean nothing."""
    default_selection: ClassVar[str | None] = None
    """The selection rule that belongs to the variant where the file names none."""

    def supernet_options(self) -> dict[str, Any]:
        """Options for ``Space.supernet``."""
        return {}

    def parameters(self, space: Space) -> dict[str, Tensor]:
        """Further architecture parameters and their initial values."""
        return {}

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Replace softmax(alpha); at most one variant of a search may."""
        return None

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Transform the mixture weights [E, O]."""
        return weights

    def active(self, space: Space, moment: Moment) -> Active | None:
        """Limit the operations that are run; None: no limit."""
        return None

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Transform the output [B, C, H, W] of an operation in ``touches``."""
        return y

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Transform the mixture ``y`` of an edge whose input is ``x``."""
        return y

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return a term to add to the validation loss."""
        return None

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Perturb the mixture of the weight step; ``loss`` maps a mixture to the training loss."""
        return weights

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether this step updates the architecture."""
        return True

    def updates_weights(self, moment: Moment) -> bool:
        """Say whether this step updates the weights."""
        return True

    def after_epoch(self, state: SearchState, moment: Moment) -> None:
        """Act between epochs; what must survive a resume goes into ``state.memory``."""

    def stop(self, state: SearchState, moment: Moment) -> Stop | None:
        """End the search early."""
        return None


def overrides(variant: Variant, hook: str) -> bool:
    """Say whether a variant does anything in a hook."""
    return getattr(type(variant), hook) is not getattr(Variant, hook)
