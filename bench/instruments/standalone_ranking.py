"""What τ nets of the supernet's own size reach when nothing is shared: the ceiling of its τ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bench.contracts.instrument import Instrument, Reading
from bench.metrics import Metric, reading
from bench.ranking.correlation import tau_b
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Protocol
from bench.streams import generator

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView
    from bench.contracts.settings import RunSettings
    from bench.contracts.space import Architecture
    from bench.contracts.truth import Truth

NAMES = ("alone_tau", "alone_tau_supernet", "alone_tau_short", "alone_accuracy", "alone_cells")
DRAWS = 20
"""Cells drawn for each that is wanted: isomorphic and unknown ones are left out."""


class StandaloneRanking(Instrument):
    """τ of the supernet beside that of its cells trained alone, at its size and on its images.

    A small net on few images ranks cells poorly without any weight sharing. So ``cells`` random cells
    (connected, no two isomorphic, known to the truth; the same in every search) are trained one by one,
    as wide and deep as the supernet, on the search's training half for ``epochs`` epochs, and tested on
    its validation half. ``alone_tau`` is Kendall's τ-b of these accuracies with the truth;
    ``alone_tau_supernet`` that of the supernet's accuracy on the very same cells, weights inherited;
    ``alone_tau_short`` the first minus the second: what sharing loses. ``alone_accuracy`` is the
    nets' mean, since the τ of nets that learned nothing says nothing; ``alone_cells`` how many
    there were.

    By default it is read once, at the end of a search. Trainings are kept in the cache, as those of
    the truth `standalone`, and shared by all searches that ask for the same. NaN without a table of truth.
    """

    cost: ClassVar[str] = "cells·epochs·steps per epoch F of a cell, once for all searches"
    measures: ClassVar[tuple[Metric, ...]] = (
        reading("alone_tau", "τ of cells trained alone at the supernet's size", "", 2, "higher"),
        reading("alone_tau_supernet", "τ of the supernet on the same cells", "", 2, "higher"),
        reading("alone_tau_short", "the first minus the second", "", 2, "lower"),
        reading("alone_accuracy", "mean accuracy of the cells trained alone", "%", 2, "higher"),
        reading("alone_cells", "how many they were", "cells", 0),
    )

    every: int = Field(1_000_000, ge=1, description="read after so many epochs; and at the end")
    cells: int = Field(40, ge=2, description="cells that are trained")
    epochs: int = Field(10, ge=1, description="of each training")
    training: dict[str, Any] = Field(
        {}, description="other fields of the recipe, as `bench evaluate --set` takes them"
    )

    def cost_in_passes(self, settings: RunSettings, parameters: int) -> float:
        """See `Instrument.cost_in_passes`; a cell is one path of the supernet."""
        steps = (settings.data.size or 50_000) / (2 * settings.search.batch)
        return self.cells * self.epochs * steps / len(settings.space.operations)

    def observe(self, setup: SearchView, state: StateView) -> Reading:
        """See `Instrument.observe`."""
        truth, space = setup.truth, setup.space
        cells = [] if truth is None else self._drawn(setup, truth)
        if truth is None or len(cells) < 2:
            return dict.fromkeys(NAMES, np.nan)
        from bench.truth.standalone import Standalone  # late: saves start-up time

        recipe = {**self.training, "test": "half"}
        source = Standalone(epochs=self.epochs, training=recipe)
        nets = source.of(space, setup.settings.data)
        named = [space.encode(cell) for cell in cells]
        alone = np.array([nets.accuracy_of(name) for name in named])
        true = truth.mean(named)
        protocol = setup.settings.ranking or Protocol()
        shared = evaluate(setup, state, cells, protocol).accuracy
        sound = np.isfinite(alone)  # one that diverged is left out of both
        taus = [float(tau_b(scores[sound], true[sound])) for scores in (alone, shared)]
        return {
            "alone_tau": taus[0],
            "alone_tau_supernet": taus[1],
            "alone_tau_short": taus[0] - taus[1],
            "alone_accuracy": float(alone[sound].mean()),
            "alone_cells": float(sound.sum()),
        }

    def _drawn(self, setup: SearchView, truth: Truth) -> list[Architecture]:
        """Draw the cells, from a stream that no seed has a part in."""
        space, draws = setup.space, generator("cpu", 0, self.name)
        found: dict[Any, Architecture] = {}
        for cell in space.sample(DRAWS * self.cells, draws):
            if space.connected(cell):
                found.setdefault(space.canonical(cell), cell)
        cells = list(found.values())
        known = np.isfinite(truth.mean([space.encode(cell) for cell in cells]))
        return [cell for cell, there in zip(cells, known, strict=True) if there][: self.cells]
