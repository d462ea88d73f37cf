"""A table of one's own data: a sample of cells trained once, found cells when they are found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bench.contracts import identity
from bench.contracts.data import DataSource
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError
from bench.data._cache import cache_folder
from bench.ranking.population import Population
from bench.truth._ranked import ranked
from bench.truth.standalone import Standalone, Trained

if TYPE_CHECKING:
    from bench.training.tabulation import Tabulation


class Tabulated(Standalone):
    """Rank against a sample of cells that is trained once, and train every other cell that is found.

    What it takes to have accuracy, regret, percentile and τ on images of one's own. At first use
    ``sample`` cells (one of each isomorphism class, drawn at random, connected) are trained from
    scratch like `standalone` trains, in parallel, and kept in the cache (``$BENCH_CACHE/tabulated``):
    what is interrupted goes on, and a larger ``sample`` or more ``seeds`` add to what is there. A
    cell that a search finds is looked up, itself or an isomorphic one, or trained then. Ranks,
    percentile and regret are those among the sample, so that a regret may be negative. Rank
    supernets on the same cells: ``ranking: {population: known}``.
    """

    ranks: ClassVar[bool] = True

    sample: int = Field(300, ge=20, le=20_000, description="cells that are trained beforehand")
    sample_seed: int = Field(0, description="of the draw of the sample")

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def of(self, space: Space, data: DataSource) -> Truth:
        """Return the sample's accuracies; trains what is missing of them.

        Raises
        ------
        TruthError
            When recipe, sizes and images do not go together; nothing has been trained then.
        """
        asked = super().of(space, data)
        assert isinstance(asked, Trained)
        rows = self._rows(self._tabulation(asked))
        split = f"{asked.split}_accuracy"
        accuracy = {cell: np.full(self.seeds, np.nan) for cell, _ in rows}
        for (cell, seed), row in rows.items():
            accuracy[cell][seed] = row[split]
        if len(accuracy) < 2:
            raise TruthError(f"truth: {self.name}: no cell of the sample could be trained")
        return ranked(
            asked,
            accuracy,
            {},
            f"{len(accuracy)} cells drawn at random and every cell found besides, trained from "
            f"scratch: {asked.provenance.partition(': ')[2]}",
            self.content(space, data),
        )

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; nothing is trained."""
        trained = super().content(space, data)
        return identity.digest([trained, self.sample, self.sample_seed])

    def _tabulation(self, asked: Trained) -> Tabulation:
        from bench.training.tabulation import Tabulation  # late: saves start-up time

        return Tabulation(
            space=asked.space,
            data=asked.first.data,
            training=asked.first.recipe,
            population=Population(size=self.sample, seed=self.sample_seed, disconnected=False),
            seeds=self.seeds,
        )

    def _rows(self, recipe: Tabulation) -> dict[tuple[str, int], dict[str, Any]]:
        """Return trial → its row; of those that are not there yet, after training them."""
        from bench.devices import cores  # late: saves start-up time
        from bench.training.tabulate import kept, tabulate  # late: saves start-up time

        output = cache_folder() / "tabulated" / f"{recipe.digest[:32]}.parquet"
        rows, trials = kept(recipe, output), recipe.trials()
        if missing := sum(trial not in rows for trial in trials):
            notify(
                f"truth: {missing:,} of {len(trials):,} trainings to do; kept in {output.parent}"
            )
            done = tabulate(recipe, output, cores(), _every(len(trials) // 20 or 1))
            for (cell, seed), message in done["failed"].items():
                notify(f"truth: {cell} seed {seed} failed: {message}")
            rows = kept(recipe, output)
        return {trial: rows[trial] for trial in trials if trial in rows}


def notify(text: str) -> None:
    """Tell people, not programs."""
    print(text, file=sys.stderr)


def _every(step: int) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % step == 0 or done == total:
            notify(f"truth: {done:,} of {total:,} trained")

    return tell
