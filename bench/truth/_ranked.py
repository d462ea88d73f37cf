"""A sample of cells whose worth is known, and the others trained when a search finds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.contracts.truth import Truth
from bench.truth.standalone import Trained


@dataclasses.dataclass(frozen=True)
class Ranked(Trained):
    """Accuracies of a sample of cells, and of those that were asked about besides.

    Attributes
    ----------
    sampled
        The cells of the sample, among which others have a rank.
    """

    sampled: Sequence[str] = dataclasses.field(kw_only=True)

    @property
    def reference(self) -> list[str]:
        """The cells of the sample, not those that happened to be found."""
        return list(self.sampled)

    def accuracy_of(self, cell: str, notify: Callable[[str], None] = lambda text: None) -> float:
        """Return the mean accuracy of a cell; trains it where neither it nor a twin is known."""
        known = self.known_as(cell)
        if known not in self.accuracy:
            found = [self._train(cell, seed, notify) for seed in range(self.seeds)]
            places = max(map(len, self.accuracy.values()), default=0)
            row = np.full(max(places, len(found)), np.nan)
            row[: len(found)] = found
            self.accuracy[cell] = row
        return float(self.mean([known])[0])


def ranked(
    asked: Trained,
    accuracy: Mapping[str, NDArray[np.float64]],
    weight: Mapping[str, float],
    provenance: str,
    sha256: str,
) -> Truth:
    """Return the truth of a sample of cells.

    Parameters
    ----------
    asked
        What trains cells as those of the sample were.
    accuracy
        Cell → accuracy per training seed [S], NaN where missing; one length.
    weight
        How many cells of the space each stands for; empty: all the same.
    """
    own = {f.name: getattr(asked, f.name) for f in dataclasses.fields(asked)}
    own |= {
        "accuracy": dict(accuracy),
        "weight": dict(weight),
        "provenance": provenance,
        "sha256": sha256,
    }
    return Ranked(**own, sampled=tuple(accuracy))
