"""What is changed in the search: the contract of a variant and the hooks that the loop offers.

Plain DARTS is the empty list of variants. A variant overrides the hooks that it needs and leaves
the others alone; `bench.search.composition` runs the hooks of several variants in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from bench.contracts.member import Member
from bench.contracts.moment import Half, Moment
from bench.contracts.space import Active, Portion, Space

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


@dataclass(frozen=True)
class Site:
    """Where inside the supernet a hook is asked."""

    cell: int
    edge: int
    operation: str = ""
    siblings: tuple[int, ...] = ()
    """For a whole edge: all edges that enter the same node, itself included."""
    stride: int = 1
    """Of the edge's operations; a skip of stride 2 is no identity."""


@dataclass(frozen=True)
class ArchitectureStep:
    """One update of the architecture, as `Variant.step_architecture` sees it.

    Attributes
    ----------
    before, after
        The parameters by name where they were, and where they are to go: where the optimiser put
        them, or the variant before this one.
    gradient
        What the optimiser was given, by name; absent where the loss does not reach a parameter.
    kept
        The operations that competed on every edge in this step; None: all.
    """

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    gradient: Mapping[str, Tensor]
    kept: Active | None


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
    samples_path: ClassVar[bool] = False
    """True where one operation per edge is run at a time, drawn by the variant."""
    replaces_step: ClassVar[bool] = False
    """True where its `step_architecture` takes nothing of what the optimiser did to alpha."""
    ranks_operations: ClassVar[bool] = False
    """True where operations are dropped by their mixture weights during the search."""
    midway: ClassVar[bool] = False
    """True for what only joins a search that is under way, such as edges that are decided."""
    off: ClassVar[dict[str, Any] | None] = None
    """The parameters under which a search is plain DARTS bit for bit; None: there are none."""

    @property
    def widens(self) -> bool:
        """Whether the supernet is widened between stages."""
        return False

    @property
    def architecture_decay(self) -> float | None:
        """Weight decay of the architecture's optimiser; None: as the settings say."""
        return None

    @property
    def stages(self) -> int:
        """In how many equal stages the learning rate of the weights runs down, each from its top."""
        return 1

    def grown(self, space: Space, epoch: int, epochs: int) -> Space:
        """Return the space with the supernet that runs after so many epochs."""
        return space

    def supernet_options(self) -> dict[str, Any]:
        """Options for ``Space.supernet``."""
        return {}

    def parameters(self, space: Space, seed: int) -> dict[str, Tensor]:
        """Further architecture parameters and their initial values."""
        return {}

    def halves(self) -> dict[str, Half]:
        """Give an update (its own half: ``train`` or ``valid``) the images of another half."""
        return {}

    def passes(self, space: Space) -> int:
        """Count the forward passes of a weight step, whose gradients add up; see `Moment.part`."""
        return 1

    def partial(self, moment: Moment) -> int | None:
        """Mix only the first C/K channels at this moment: K; None: as the supernet was built."""
        return None

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Name the operations that still compete on every edge; None: all of them.

        The others are not run, and their alpha is −inf for whatever makes a mixture of it.
        """
        return None

    def drop(self, space: Space, kept: Active | None, moment: Moment) -> Active | None:
        """Leave out operations at this moment alone, of those ``kept`` by all else (None: all).

        Asked after every variant's `candidates`, one variant after the other, so that no edge need
        lose all of its operations. What is left out is not run and has alpha −inf, for now.
        """
        return kept

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Replace softmax(alpha); at most one variant of a search may."""
        return None

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Transform the mixture weights [E, O]."""
        return weights

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
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

    def edge_strength(self, space: Space, architecture: dict[str, Tensor]) -> Tensor | None:
        """Weigh whole edges [E] when a cell is read off; None: all the same."""
        return None

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return a term to add to the validation loss."""
        return None

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Perturb the mixture of the weight step; ``loss`` maps a mixture to the training loss."""
        return weights

    def step_architecture(self, step: ArchitectureStep, moment: Moment) -> Mapping[str, Tensor]:
        """Say where an update puts the architecture parameters: ``step.after`` where it agrees."""
        return step.after

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether this step updates the architecture."""
        return True

    def updates_weights(self, moment: Moment) -> bool:
        """Say whether this step updates the weights."""
        return True

    def hold_weights(
        self, setup: SearchView, state: StateView, moment: Moment
    ) -> Sequence[Portion]:
        """Name weights that this step leaves alone: neither gradient, decay nor momentum moves them.

        Asked when the training loss's gradients are in ``.grad`` and not yet clipped.
        """
        return ()

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Act between epochs; what must survive a resume goes into ``state.memory``."""

    def weight_settings(self, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Say what it has set in the weights' optimiser, by what it keeps in its ``memory``."""
        return {}

    def stop(self, setup: SearchView, state: StateView) -> Stop | None:
        """End the search early."""
        return None


def overrides(variant: Variant, hook: str) -> bool:
    """Say whether a variant does anything in a hook."""
    return getattr(type(variant), hook) is not getattr(Variant, hook)
