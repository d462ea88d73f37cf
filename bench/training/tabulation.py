"""What a recipe of a truth table says: which cells are trained how, how often, on which images."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from bench.ablation.layers import Layer
from bench.ablation.places import ablation_file
from bench.ablation.yamlfile import load
from bench.contracts.data import NoTestImagesError
from bench.contracts.identity import described, digest
from bench.contracts.plain import Plain
from bench.contracts.truth import TruthError
from bench.ranking.population import Population
from bench.search.settings import DataField, SpaceField, TruthField
from bench.training.train import Recipe

Trial = tuple[str, int]
"""A cell's string and a training seed."""


class Tabulation(Plain):
    """What a recipe file says: which cells of which space are trained how, on which images."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True
    )

    space: SpaceField
    data: DataField
    training: Recipe = Recipe()
    population: Population = Population()
    truth: TruthField | None = Field(
        None, description="what `population: stratified` and `top` draw by; nothing else uses it"
    )
    first: tuple[str, ...] = Field(
        (),
        description="cells that are trained before all others, whether they are drawn or not; one that is not "
        "drawn stands for no other (weight 0)",
    )
    seeds: int = Field(1, ge=1, le=1000, description="trainings of each cell")

    @model_validator(mode="after")
    def _named(self) -> Self:
        for position, cell in enumerate(self.first):
            try:
                self.space.decode(cell)
            except ValueError as error:
                raise ValueError(f"first.{position}: {error}") from None
        return self

    @property
    def digest(self) -> str:
        """A hash of what determines a trial's numbers: more cells or seeds leave it as it is."""
        content = {name: described(getattr(self, name)) for name in ("space", "data", "training")}
        return digest({**content, "contents": self.contents})

    @functools.cached_property
    def contents(self) -> dict[str, str]:
        """Hashes of the images; none for test images where there are none."""
        found = {"train": self.data.content(train=True)}
        with contextlib.suppress(NoTestImagesError):
            found["test"] = self.data.content(train=False)
        return found

    def design(self) -> dict[str, tuple[float, int]]:
        """Cell → how many cells of the population it stands for, and the label of its stratum."""
        table = None
        if self.truth is not None:
            table = self.truth.of(self.space, self.data)
            if not self.truth.ranks:
                raise TruthError(f"truth: {self.truth.name} knows no cell before it is trained")
        sample = self.population.drawn(self.space, table)
        names = [self.space.encode(cell) for cell in sample.cells]
        weights = np.ones(len(names)) if sample.weights is None else sample.weights
        strata = np.zeros(len(names), int) if sample.strata is None else sample.strata
        drawn = zip(names, zip(weights.tolist(), strata.tolist(), strict=True), strict=True)
        return dict.fromkeys(self.told, (0.0, -1)) | dict(drawn)

    def weights(self, done: Collection[str]) -> dict[str, float]:
        """Return what the cells that are done stand for: in each stratum for those that are not."""
        design = self.design()
        whole, found = defaultdict[int, float](float), defaultdict[int, float](float)
        for cell, (weight, stratum) in design.items():
            whole[stratum] += weight
            found[stratum] += weight if cell in done else 0
        return {
            cell: weight * whole[stratum] / (found[stratum] or 1)
            for cell, (weight, stratum) in design.items()
            if cell in done
        }

    @property
    def told(self) -> list[str]:
        """The cells of ``first``, as the space writes them."""
        return [self.space.spell(cell) for cell in self.first]

    def trials(self) -> list[Trial]:
        """List all trials, seed by seed, so that every seed is whole as early as it can be."""
        return [(cell, seed) for seed, cell in itertools.product(range(self.seeds), self.design())]

    def turn(self, trial: Trial) -> tuple[int, bool, bytes]:
        """Sort by seed, then as if at random: what is done of a seed is a fair sample of its cells."""
        cell, seed = trial
        return seed, cell not in self.told, hashlib.sha256(cell.encode()).digest()


def read_recipe(path: Path, sets: list[str]) -> Tabulation:
    """Read a recipe file; ``sets`` are ``key=value`` with dotted keys.

    Raises
    ------
    ConfigError
        One line naming file, line and field.
    """
    document = load(ablation_file(path))
    layer = Layer.of(document, "a recipe is a mapping with space, data, training, population")
    layer.assign(sets)
    return layer.read(Tabulation, f"{document.path}:1")
