"""What a hook may see of a search under way: its fixed parts, and its state.

Variants, selection rules and instruments are given these two. They are the typed outside of
`bench.search.setup.Setup` and `bench.search.state.SearchState`; the engine is not imported here,
so that a member can be read, checked and tested without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from bench.contracts.data import Batch, Halves
from bench.contracts.hypergradient import Hypergradient, Problem, Tensors
from bench.contracts.member import Member
from bench.contracts.moment import Moment, Phase
from bench.contracts.settings import RunSettings
from bench.contracts.space import Active, Space, Supernet
from bench.contracts.truth import Truth


class CompositionView(Protocol):
    """All variants of a search as one."""

    @property
    def variants(self) -> tuple[Member, ...]:
        """The variants, in the order of the ablation file."""

    @property
    def learns_architecture(self) -> bool:
        """Whether alpha means anything at the end."""

    def mixture(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the mixture weights [E, O].

        Parameters
        ----------
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            When this is asked.

        Returns
        -------
        Tensor
            Mixture weights [E, O].
        """

    def candidates(self, moment: Moment) -> Active | None:
        """Return the operations that still compete on every edge, or None for all.

        Parameters
        ----------
        moment
            When this is asked.

        Returns
        -------
        Active | None
            For every edge the indices of operations.
        """

    def hooks(self, architecture: dict[str, Tensor], moment: Moment) -> object | None:
        """Return what happens inside cells (`CellHooks`), or None where no variant acts there.

        Parameters
        ----------
        architecture
            Name → parameter.
        moment
            When this is asked.

        Returns
        -------
        object | None
            What ``Supernet.forward`` takes as ``hooks``.
        """


class StateView(Protocol):
    """What changes while a search runs; see `bench.search.state.SearchState`.

    An instrument reads it and leaves it as it was. A variant may write to ``memory`` between
    epochs, and to the rest where that is what its paper says.
    """

    supernet: Supernet
    architecture: dict[str, Tensor]
    weight_optimizer: torch.optim.SGD
    architecture_optimizer: torch.optim.Adam
    step: int
    epoch: int
    running: dict[str, float]
    history: list[dict[str, Any]]
    memory: dict[str, Any]
    hypergradient: dict[str, Tensor]
    stopped: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only, as a checkpoint keeps them.

        Returns
        -------
        dict[str, Any]
            Part of the state → its content.
        """

    def load_dict(self, saved: dict[str, Any]) -> None:
        """Take over what `to_dict` gave.

        Parameters
        ----------
        saved
            What `to_dict` gave, tensors on any device.
        """


class SearchView(Protocol):
    """The fixed parts of a search, and what can be worked out from them and a state."""

    @property
    def settings(self) -> RunSettings:
        """The settings of the run."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def composition(self) -> CompositionView:
        """The variants, as one."""

    @property
    def hypergradient(self) -> Hypergradient:
        """The estimator of the architecture gradient."""

    @property
    def data(self) -> Halves:
        """The images of both halves, on the device."""

    @property
    def truth(self) -> Truth | None:
        """What cells are really worth, if it is known."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""

    @property
    def seed(self) -> int:
        """The seed of the run; random streams are made from it (`bench.streams`)."""

    @property
    def steps_per_epoch(self) -> int:
        """Bilevel steps of an epoch."""

    def having(self, **changes: Any) -> Self:
        """Return the same parts with some of them (``seed``, ``composition``, …) changed.

        Parameters
        ----------
        **changes
            Field → value.

        Returns
        -------
        Self
            A copy; the original is left as it was.
        """

    def moment(self, state: StateView, phase: Phase, step: int | None = None) -> Moment:
        """Return the present moment, for hooks, or that of another ``step`` (to look ahead).

        Parameters
        ----------
        state
            Of this search.
        phase
            ``weights``, ``architecture`` or ``evaluate``.
        step
            Another step than the state's.

        Returns
        -------
        Moment
            What hooks are told.
        """

    def batch(self, half: str, step: int) -> Batch:
        """Return the batch that an update sees at a step: ``train`` or ``valid``.

        Parameters
        ----------
        half
            ``train`` (the weights' update) or ``valid`` (the architecture's).
        step
            Steps from the start of the search.

        Returns
        -------
        Batch
            Normalised images [B, C, H, W] and labels [B].
        """

    def mixture(self, state: StateView) -> Tensor:
        """Return the present mixture weights [E, O] as a measurement sees them.

        Parameters
        ----------
        state
            Of this search.

        Returns
        -------
        Tensor
            Mixture weights [E, O] of the phase ``evaluate``.
        """

    def strength(self, state: StateView) -> Tensor:
        """Return what a cell is read off by [E, O]: the mixture, whole edges weighed.

        Parameters
        ----------
        state
            Of this search.

        Returns
        -------
        Tensor
            [E, O].
        """

    def running_statistics(self, state: StateView) -> bool:
        """Say whether forward passes would change buffers of the supernet.

        Parameters
        ----------
        state
            Of this search.

        Returns
        -------
        bool
            Whether batch norms keep running statistics.
        """

    def logits(
        self,
        state: StateView,
        moment: Moment,
        batch: Batch,
        mixture: Tensor,
        active: Sequence[Sequence[int]] | None = None,
        *,
        weights: Tensors | None = None,
        architecture: Tensors | None = None,
        pure: bool = False,
    ) -> Tensor:
        """Run the supernet with the variants' hooks; logits [B, classes].

        Parameters
        ----------
        state
            Of this search.
        moment
            When hooks are asked.
        batch
            Images [B, C, H, W]; the labels are not looked at.
        mixture
            Mixture weights [E, O].
        active
            Operations to run on every edge; None: what the variants say.
        weights, architecture
            Stand-ins for the state's own, by name.
        pure
            Leave running statistics untouched.

        Returns
        -------
        Tensor
            [B, classes].
        """

    def problem(self, state: StateView, perturbation: Tensor | None = None) -> Problem:
        """Return the bilevel problem at this step; its losses are pure functions.

        Parameters
        ----------
        state
            Of this search.
        perturbation
            What is added to the mixture [E, O] of every training loss.

        Returns
        -------
        Problem
            Weights, architecture, losses and the inner update, as estimators see them.
        """
