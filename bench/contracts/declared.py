"""What a variant says of itself before the search begins: the first half of its contract."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from bench.contracts.member import Member
from bench.contracts.moment import Half
from bench.contracts.space import Space


class Declared(Member):
    """What a variant touches, adds to a search and cannot be combined with."""

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

    def supernet_options(self) -> dict[str, Any]:
        """Options for ``Space.supernet``.

        Returns
        -------
        dict[str, Any]
            Keyword arguments by name, such as ``affine``; two variants may not set the same one.
        """
        return {}

    def parameters(self, space: Space, seed: int) -> dict[str, Tensor]:
        """Further architecture parameters and their initial values.

        Parameters
        ----------
        space
            What is searched.
        seed
            Of the run: initial values depend on it alone.

        Returns
        -------
        dict[str, Tensor]
            Name → initial values, of any shape; trained by the architecture's optimiser beside ``alpha`` [E,
            O].
        """
        return {}

    def halves(self) -> dict[str, Half]:
        """Give an update (its own half: ``train`` or ``valid``) the images of another half.

        Returns
        -------
        dict[str, Half]
            ``train`` (the weights' update) or ``valid`` (the architecture's) → the half that it is to see.
        """
        return {}

    def passes(self, space: Space) -> int:
        """Count the forward passes of a weight step, whose gradients add up; see `Moment.part`.

        Parameters
        ----------
        space
            What is searched.

        Returns
        -------
        int
            At least 1; of several variants the largest counts.
        """
        return 1

    @property
    def stages(self) -> int:
        """In how many equal stages the learning rate of the weights runs down, each from its top."""
        return 1

    @property
    def architecture_decay(self) -> float | None:
        """Weight decay of the architecture's optimiser; None: as the settings say."""
        return None

    @property
    def widens(self) -> bool:
        """Whether the supernet is widened between stages."""
        return False
