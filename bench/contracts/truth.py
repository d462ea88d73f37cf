"""What architectures are really worth: the contract of a truth source and the table it gives."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contracts import registry
from bench.contracts.member import Member

if TYPE_CHECKING:
    from bench.contracts.data import DataSource
    from bench.contracts.settings import RunSettings
    from bench.contracts.space import Space


class TruthError(ValueError):
    """A truth file that is missing, damaged or not what it says; one line, with the fix."""


NB201 = "nb201"
"""Whose cells are meant where a truth does not say: this project began with them."""


def _nb201() -> Space:
    found: Space = registry.parse("spaces", NB201)
    return found


@dataclass(frozen=True)
class Truth:
    """Accuracies of architectures trained on their own, in percent.

    A cell without a number of its own has that of the first isomorphic cell of the reference which
    has one, by the space's canonical form: trained on their own the two are the same network.

    Attributes
    ----------
    accuracy
        Cell string (as the space encodes it) → accuracy per training seed; NaN where missing.
    dataset, budget, split
        What was measured: ``cifar10``, 200 epochs, ``test``.
    provenance
        One sentence: where the numbers come from.
    sha256
        Of the file that was read.
    space
        Whose cells these are: it reads and writes their strings.
    weight
        Cell → how many cells of the space it stands for, where the table is a sample of them; empty
        where every cell stands for itself.
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    dataset: str
    budget: int
    split: str
    provenance: str
    sha256: str
    space: Space = field(default_factory=_nb201)
    weight: Mapping[str, float] = field(default_factory=dict)

    def weights(self, cells: Sequence[str]) -> NDArray[np.float64]:
        """Return how many cells each one stands for [N]; all 1 where the table is no sample.

        Parameters
        ----------
        cells
            Texts, as the space encodes them.

        Returns
        -------
        NDArray[np.float64]
            [N]; 0 for a cell that the sample lacks.
        """
        if not self.weight:
            return np.ones(len(cells))
        return np.array([self.weight.get(self.known_as(cell), 0.0) for cell in cells])

    def percentile(self, accuracy: float) -> float:
        """Return how many percent of the space's cells are worse, by the reference; NaN: no rank.

        Parameters
        ----------
        accuracy
            In percent.

        Returns
        -------
        float
            0 to 100.
        """
        known = self.reference
        means, weights = self.measured(known), self.weights(known)
        present = ~np.isnan(means)  # a cell without a number is not a better one
        if not weights[present].sum() or np.isnan(accuracy):
            return float("nan")
        return 100 * float(np.average(means[present] < accuracy, weights=weights[present]))

    @property
    def random(self) -> float:
        """The mean accuracy of a randomly drawn cell of the reference; NaN where there is none."""
        known = self.reference
        means, weights = self.measured(known), self.weights(known)
        present = ~np.isnan(means)
        if not weights[present].sum():
            return float("nan")
        return float(np.average(means[present], weights=weights[present]))

    def known_as(self, cell: str) -> str:
        """Return the cell whose number this one has: itself, or an isomorphic one.

        Parameters
        ----------
        cell
            Text, as the space encodes it.

        Returns
        -------
        str
            A key of ``accuracy``, or the cell as it was given where nothing is known of it.
        """
        if not np.isnan(self.measured([cell])[0]):
            return cell
        try:
            canonical = self.space.canonical(self.space.decode(cell))
        except ValueError:
            return cell
        return self._first.get(canonical, cell)

    @functools.cached_property
    def _first(self) -> dict[Hashable, str]:
        """What isomorphic cells share → the first cell of the reference that has a number."""
        found: dict[Hashable, str] = {}
        known = list(self.reference)
        for cell, mean in zip(known, self.measured(known), strict=True):
            if not np.isnan(mean):
                found.setdefault(self.space.canonical(self.space.decode(cell)), cell)
        return found

    def mean(self, cells: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean accuracy over seeds for each cell [N], or an isomorphic one's; NaN: none.

        Parameters
        ----------
        cells
            Texts, as the space encodes them.

        Returns
        -------
        NDArray[np.float64]
            Percent [N].
        """
        means = self.measured(cells)
        lacking = np.flatnonzero(np.isnan(means)).tolist()
        if lacking:
            means[lacking] = self.measured([self.known_as(cells[i]) for i in lacking])
        return means

    def measured(self, cells: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean accuracy over seeds of each cell itself [N]; NaN where it has none.

        Parameters
        ----------
        cells
            Texts, as the space encodes them.

        Returns
        -------
        NDArray[np.float64]
            Percent [N].
        """
        missing = np.array([np.nan])
        rows = [self.accuracy.get(cell, missing) for cell in cells]
        if not rows:
            return np.empty(0)
        # All cells at once: this is asked for thousands of cells, over and over.
        values, owner = np.concatenate(rows), np.repeat(np.arange(len(rows)), list(map(len, rows)))
        present = ~np.isnan(values)
        sums = np.bincount(owner[present], values[present], minlength=len(rows))
        counts = np.bincount(owner[present], minlength=len(rows))
        means: NDArray[np.float64] = np.full(len(rows), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    @property
    def reference(self) -> Sequence[str]:
        """The cells among which others have a rank; none where there is no table to rank in."""
        return list(self.accuracy)

    @property
    def best(self) -> float:
        """The highest mean accuracy of the reference; NaN where there is none."""
        known = self.reference
        return float(np.nanmax(self.measured(known))) if known else float("nan")

    def accuracy_of(self, cell: str, notify: Callable[[str], None] = lambda text: None) -> float:
        """Return the mean accuracy of a cell that a search has found; NaN where unknown.

        A truth that trains does so now, calls ``notify`` with a line now and then, and lets
        through what that raises.

        Parameters
        ----------
        cell
            Text, as the space encodes it.
        notify
            Is told now and then how far a training has come.

        Returns
        -------
        float
            Percent.
        """
        return float(self.mean([cell])[0])


class TruthSource(Member):
    """Where ground truth comes from; its fields say which columns are meant."""

    space: ClassVar[str | None] = NB201
    """The search space whose cells it knows; None: its file says, or it knows any."""
    ranks: ClassVar[bool] = True
    """Whether it knows cells before they are found, so that sub-networks can be ranked by it."""
    executes: ClassVar[bool] = False
    """Whether reading its files runs code that they hold: then nobody else may name them."""

    @property
    def origin(self) -> str:
        """What errors call it."""
        return self.name

    @property
    def doubtful(self) -> bool:
        """Whether it is a file of the user's, which can lack cells or be wrong: it is asked first.

        Only of what can be loaded in seconds: `bench plan` loads it.
        """
        return False

    @abstractmethod
    def load(self) -> Truth:
        """Read the table.

        Returns
        -------
        Truth
            The table, with where it comes from and the hash of what was read.

        Raises
        ------
        TruthError
            When the file is missing, damaged or hostile; nothing of it is executed.
        """

    def content(self, space: Space, data: DataSource) -> str:
        """Return the hash that ``of(space, data)`` will have as ``sha256``, for less if possible.

        Parameters
        ----------
        space, data
            What is searched, and on which images.

        Returns
        -------
        str
            64 hex digits.

        Raises
        ------
        TruthError
            When what it rests on is not there.
        """
        return self.of(space, data).sha256

    def multiply_adds(self, settings: RunSettings) -> float:
        """Return what it takes to ask it about a derived cell, in 10⁹ multiply–adds.

        Parameters
        ----------
        settings
            Of the run.

        Returns
        -------
        float
            10⁹ multiply–adds; 0 where it is looked up.
        """
        return 0.0

    def of(self, space: Space, data: DataSource) -> Truth:
        """Load the truth for cells of a space that are searched on some data.

        Parameters
        ----------
        space, data
            What is searched, and on which images.

        Returns
        -------
        Truth
            The table, which knows at least one cell of the space, or trains it.

        Raises
        ------
        TruthError
            When it cannot be loaded, or when none of its cells is one of the space's.
        """
        truth = self.load()
        if truth.space.name != space.name:
            raise TruthError(
                f"truth: {self.origin} knows cells of {truth.space.name}, not of {space.name}; "
                "say truth: null"
            )
        if not any(_knows(space, cell) for cell in truth.accuracy):
            raise TruthError(
                f"truth: none of the {len(truth.accuracy):,} cells of {self.origin} is one of this "
                f"{space.name} space ({', '.join(space.operations)}); say truth: null"
            )
        return truth


def _knows(space: Space, cell: str) -> bool:
    try:
        return space.spell(cell) == cell
    except ValueError:
        return False
