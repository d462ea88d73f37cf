"""What is changed in the search: the contract of a variant and the hooks that the loop offers.

Plain DARTS is the empty list of variants. A variant overrides the hooks that it needs and leaves
the others alone; `bench.search.composition` runs the hooks of several variants in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from bench.contracts.declared import Declared
from bench.contracts.moment import Moment
from bench.contracts.site import ArchitectureStep, Site, Stop
from bench.contracts.space import Active, Portion, Space

__all__ = ["ArchitectureStep", "Site", "Stop", "Variant", "overrides"]

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Variant(Declared):
    """An intervention in the search: typed parameters and any of the hooks below.

    They stand in the order in which the loop comes to them; what it is asked before the search begins stands
    in `bench.contracts.declared`. Most variants need one of `mixture`,
    `operation`, `architecture_loss` and `after_epoch`; E is the number of edges, O that of operations,
    B that of images in a batch.
    """

    # Every pass through the supernet: which operations there are, how they are mixed, what happens in a cell.

    def grown(self, space: Space, epoch: int, epochs: int) -> Space:
        """Return the space with the supernet that runs after so many epochs.

        Parameters
        ----------
        space
            What is searched, as the variants before this one have grown it.
        epoch, epochs
            Epochs that are over, and of the whole search.

        Returns
        -------
        Space
            The same space, or one whose supernet has more cells or channels.
        """
        return space

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Name the operations that still compete on every edge; None: all of them.

        The others are not run, and their alpha is −inf for whatever makes a mixture of it.

        Parameters
        ----------
        space, moment
            What is searched, and when this is asked.

        Returns
        -------
        Active | None
            For every edge the indices of operations; of several variants what all of them name.
        """
        return None

    def drop(self, space: Space, kept: Active | None, moment: Moment) -> Active | None:
        """Leave out operations at this moment alone, of those ``kept`` by all else (None: all).

        Asked after every variant's `candidates`, one variant after the other, so that no edge need
        lose all of its operations. What is left out is not run and has alpha −inf, for now.

        Parameters
        ----------
        space
            What is searched.
        kept
            The operations that compete on every edge until here; None: all.
        moment
            When this is asked.

        Returns
        -------
        Active | None
            For every edge what is left of them; at least one.
        """
        return kept

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Replace softmax(alpha); at most one variant of a search may.

        Parameters
        ----------
        architecture
            Name → parameter, ``alpha`` [E, O] among them; −inf where an operation does not compete.
        moment
            When this is asked.

        Returns
        -------
        Tensor | None
            Mixture weights [E, O], from which gradients reach the parameters; None: softmax(alpha).
        """
        return None

    def mixture(self, weights: Tensor, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Transform the mixture weights [E, O].

        Parameters
        ----------
        weights
            The mixture [E, O] as the variants before this one have made it.
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            When this is asked; ``phase`` says for which update.

        Returns
        -------
        Tensor
            The mixture [E, O] that the supernet is given.
        """
        return weights

    def active(
        self, space: Space, architecture: dict[str, Tensor], moment: Moment
    ) -> Active | None:
        """Limit the operations that are run; None: no limit.

        Parameters
        ----------
        space
            What is searched.
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            When this is asked.

        Returns
        -------
        Active | None
            For every edge the indices of the operations that are run; of several variants what all name.
        """
        return None

    def partial(self, moment: Moment) -> int | None:
        """Mix only the first C/K channels at this moment: K; None: as the supernet was built.

        Parameters
        ----------
        moment
            The pass that is about to be made.

        Returns
        -------
        int | None
            K; of several variants the largest counts.
        """
        return None

    def operation(self, y: Tensor, site: Site, moment: Moment) -> Tensor:
        """Transform the output [B, C, H, W] of an operation in ``touches``.

        Parameters
        ----------
        y
            [B, C, H, W].
        site, moment
            Where in the supernet, and when.

        Returns
        -------
        Tensor
            The same shape.
        """
        return y

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Transform the mixture ``y`` of an edge whose input is ``x``.

        Parameters
        ----------
        y, x
            [B, C, H, W] each; where the edge has stride 2, ``x`` is averaged over 2x2 pixels.
        site
            Where in the supernet.
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            When this is asked.

        Returns
        -------
        Tensor
            The shape of ``y``.
        """
        return y

    # The update of the weights.

    def updates_weights(self, moment: Moment) -> bool:
        """Say whether this step updates the weights.

        Parameters
        ----------
        moment
            The step that is about to be made.

        Returns
        -------
        bool
            False leaves the weights where they are; all variants must agree to an update.
        """
        return True

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Perturb the mixture of the weight step; ``loss`` maps a mixture to the training loss.

        Parameters
        ----------
        weights
            The mixture [E, O] of a weight step, before it is cut off from the architecture.
        loss
            Mixture [E, O] → training loss (a scalar) on the step's own batch; leaves no trace.
        moment
            The weight step.

        Returns
        -------
        Tensor
            The mixture [E, O] that the weights are trained under.
        """
        return weights

    def hold_weights(
        self, setup: SearchView, state: StateView, moment: Moment
    ) -> Sequence[Portion]:
        """Name weights that this step leaves alone: neither gradient, decay nor momentum moves them.

        Asked when the training loss's gradients are in ``.grad`` and not yet clipped.

        Parameters
        ----------
        setup, state
            The search; the gradients are in ``.grad`` of the supernet's weights.
        moment
            The weight step.

        Returns
        -------
        Sequence[Portion]
            Tensors and the rows of each that stay as they are.
        """
        return ()

    # The update of the architecture.

    def updates_architecture(self, moment: Moment) -> bool:
        """Say whether this step updates the architecture.

        Parameters
        ----------
        moment
            The step that is about to be made.

        Returns
        -------
        bool
            False leaves the architecture where it is; all variants must agree to an update.
        """
        return True

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return a term to add to the validation loss.

        Parameters
        ----------
        architecture
            Name → parameter, ``alpha`` [E, O] among them.
        moment
            The update.

        Returns
        -------
        Tensor | None
            A scalar in nats, whose gradient reaches the parameters; None: nothing to add.
        """
        return None

    def step_architecture(self, step: ArchitectureStep, moment: Moment) -> Mapping[str, Tensor]:
        """Say where an update puts the architecture parameters: ``step.after`` where it agrees.

        Parameters
        ----------
        step
            What the optimiser made of the gradient, as the variants before this one have changed it.
        moment
            The update.

        Returns
        -------
        Mapping[str, Tensor]
            Name → where the parameter goes, in its shape; names left out go where ``step.after`` says.
        """
        return step.after

    # Between epochs, and when a cell is read off.

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Act between epochs; what must survive a resume goes into ``state.memory``.

        Parameters
        ----------
        setup, state
            The search; ``state.epoch`` counts the epoch that has just ended.
        """

    def weight_settings(self, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Say what it has set in the weights' optimiser, by what it keeps in its ``memory``.

        Parameters
        ----------
        memory
            What the variant keeps (`StateView.memory`).

        Returns
        -------
        dict[str, Any]
            Group settings of the optimiser by name, such as ``weight_decay``; a checkpoint is held to them.
        """
        return {}

    def stop(self, setup: SearchView, state: StateView) -> Stop | None:
        """End the search early.

        Parameters
        ----------
        setup, state
            The search, after every variant's `after_epoch`.

        Returns
        -------
        Stop | None
            Why, and which epoch's architecture counts; None: go on.
        """
        return None

    def edge_strength(self, space: Space, architecture: dict[str, Tensor]) -> Tensor | None:
        """Weigh whole edges [E] when a cell is read off; None: all the same.

        Parameters
        ----------
        space
            What is searched.
        architecture
            Name → parameter, ``alpha`` [E, O] among them.

        Returns
        -------
        Tensor | None
            [E], by which the mixture of whole edges is multiplied.
        """
        return None


def overrides(variant: Variant, hook: str) -> bool:
    """Say whether a variant does anything in a hook.

    Parameters
    ----------
    variant, hook
        The variant, and the name of a method of `Variant`.

    Returns
    -------
    bool
        Whether its class has a method of its own for it.
    """
    return getattr(type(variant), hook) is not getattr(Variant, hook)
