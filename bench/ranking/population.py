"""Which architectures are ranked, and what each stands for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from bench import files
from bench.contracts.identity import Place, file_digest
from bench.contracts.plain import Plain
from bench.contracts.space import Architecture, Space
from bench.contracts.truth import Truth
from bench.streams import generator

LARGEST = 16_000_000
"""Bytes of a list of cells."""
FEWEST = 20
"""Cells of known accuracy by whose tenths one can draw."""


@dataclass(frozen=True)
class Sample:
    """The architectures of one measurement.

    Attributes
    ----------
    weights
        How many architectures of the population each one stands for [N]; None: all the same.
    strata
        Label of each one's stratum [N]; None: one stratum.
    """

    cells: list[Architecture]
    weights: NDArray[np.float64] | None = None
    strata: NDArray[np.int64] | None = None


class Population(Plain):
    """Which architectures are ranked.

    Which cell stands for its class matters: isomorphic cells hold other weights of the supernet.
    It is the first of the space's enumeration, always; where a space is too large for one, of a
    fixed random sequence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    kind: Literal["unique", "all", "known", "stratified", "top", "list"] = Field(
        "unique",
        description="the first cell of each isomorphism class; every cell; the unique ones that "
        "the truth knows, with the weights of its sample; a stratified draw of "
        "the unique ones by true accuracy, with design weights and all of the top tenth; that top "
        "tenth alone; the cells of a file",
    )
    top_tenth: Literal["whole", "share"] = Field(
        "whole", description="of kind: stratified: all of the top tenth, or as many as of others"
    )
    size: int | None = Field(
        300,
        ge=2,
        description="draw so many at random; null: take them all. Of stratified: a tenth of it "
        "from each decile, and with top_tenth: whole all of the best besides (917 of "
        "NAS-Bench-201's 6,466 with 300)",
    )
    seed: int = Field(0, description="of the draw; the same for all runs")
    disconnected: bool = Field(True, description="keep cells whose output never sees the input")
    file: Place | None = Field(None, description="for kind: list, a text file with a cell per line")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "list") != (self.file is not None):
            raise ValueError("kind: list and file belong together")
        return self

    @property
    def by_truth(self) -> bool:
        """Whether the draw looks at true accuracies."""
        return self.kind in ("known", "stratified", "top")

    def content(self) -> str:
        """Hash the file of ``kind: list``; empty for the other kinds, whose fields say everything.

        Raises
        ------
        ValueError
            When it cannot be read.
        """
        if self.file is None:
            return ""
        try:
            return file_digest(self.file)
        except files.UnfitFileError:
            raise  # says it by itself
        except OSError as error:
            raise ValueError(f"{self.file}: cannot be read ({error.strerror})") from None

    def drawable(self, space: Space) -> str:
        """Say why the population cannot be had of a space; empty where it can."""
        if space.enumerable or self.kind == "list":
            return ""
        if self.by_truth or self.size is None:
            said = self.kind if self.by_truth else "size: null"
            return f"{said} needs every cell of {space.name}, which has too many; give a size"
        return ""

    def drawn(self, space: Space, truth: Truth | None) -> Sample:
        """Return the architectures, by what a truth knows of them; see `draw`."""
        if truth is None or not self.by_truth or not space.enumerable:
            return self.draw(space)
        unique = [space.encode(cell) for cell in space.unique()]
        stands = truth.weights(unique) if truth.weight else None
        return self.draw(space, truth.mean(unique), stands)

    def draw(
        self,
        space: Space,
        truth: NDArray[np.float64] | None = None,
        stands: NDArray[np.float64] | None = None,
    ) -> Sample:
        """Return the architectures, in the order of the space.

        Parameters
        ----------
        truth
            True accuracies of ``space.unique()`` [6466]; needed by ``stratified`` and ``top``.
        stands
            How many cells each of them stands for [6466], where the truth is itself a sample: then
            deciles are those of the space, and design weights count what is stood for.

        Raises
        ------
        ValueError
            When the population needs a truth that is not given, or the file is not a list of cells.
        """
        if self.kind == "list":
            return Sample(self._listed(space))
        if refusal := self.drawable(space):
            raise ValueError(f"population: {refusal}")
        if not space.enumerable:
            return self._sampled(space)
        cells: Sequence[Architecture] = (
            list(space.architectures()) if self.kind == "all" else space.unique()
        )
        keep = np.array([self.disconnected or space.connected(cell) for cell in cells])
        if self.by_truth:
            if truth is None:
                raise ValueError(f"population: {self.kind} needs ground truth")
            keep &= ~np.isnan(truth)
            if stands is not None:
                keep &= stands > 0
            rows = np.flatnonzero(keep)
            if len(rows) < FEWEST and self.kind != "known":
                raise ValueError(
                    f"population: {self.kind} needs at least {FEWEST} cells of known accuracy, so that "
                    f"every tenth of them has two to compare; the truth knows {len(rows)}"
                )
            weights = np.ones(len(rows)) if stands is None else stands[rows]
            return self._by_truth([cells[i] for i in rows.tolist()], truth[rows], weights)
        chosen = [cells[i] for i in np.flatnonzero(keep).tolist()]
        if self.size is None or self.size >= len(chosen):
            return Sample(chosen)
        return Sample(
            [chosen[i] for i in self._some(len(chosen), self.size, "population").tolist()]
        )

    def _sampled(self, space: Space) -> Sample:
        """Draw from a space that is too large to be enumerated, each isomorphism class once."""
        draws, found = generator("cpu", self.seed, "population"), dict[Hashable, Architecture]()
        assert self.size is not None
        for _ in range(100):
            for cell in space.sample(self.size, draws):
                if self.disconnected or space.connected(cell):
                    found.setdefault(cell if self.kind == "all" else space.canonical(cell), cell)
            if len(found) >= self.size:
                return Sample(list(found.values())[: self.size])
        raise ValueError(f"population: {space.name} seems to have only {len(found)} cells")

    def _some(self, total: int, size: int, *key: str | int) -> NDArray[np.int64]:
        """Draw ``size`` of ``total`` positions without replacement, sorted."""
        order = torch.randperm(total, generator=generator("cpu", self.seed, *key))
        drawn: NDArray[np.int64] = np.sort(order[:size].numpy())
        return drawn

    def _by_truth(
        self, cells: list[Architecture], truth: NDArray[np.float64], stands: NDArray[np.float64]
    ) -> Sample:
        """Take the top tenth whole and, for ``stratified``, a share of every other decile."""
        if self.kind == "known":
            rows = np.arange(len(cells))
            if self.size is not None and self.size < len(rows):
                rows = self._some(len(rows), self.size, "population")
            return self._standing(cells, rows, stands)
        order = np.argsort(truth, kind="stable")
        worse = np.empty(len(cells))
        worse[order] = np.cumsum(stands[order]) - stands[order]
        decile = np.minimum(9, np.floor(10 * worse / stands.sum()).astype(np.int64))
        if self.kind == "top":
            rows = np.flatnonzero(decile == 9)
            if self.size is not None and self.size < len(rows):
                rows = rows[self._some(len(rows), self.size, "population")]
            return self._standing(cells, rows, stands)
        weights, drawn = stands.copy(), []
        for label in np.unique(decile).tolist():  # where one stands for many, a tenth may be empty
            members = np.flatnonzero(decile == label)
            size = len(members)
            if self.size is not None and (label < 9 or self.top_tenth == "share"):
                size = min(size, max(2, round(self.size / 10)))
            rows = members[self._some(len(members), size, "stratum", label)]
            weights[rows] *= stands[members].sum() / stands[rows].sum()
            drawn.append(rows)
        rows = np.sort(np.concatenate(drawn))
        return Sample([cells[i] for i in rows.tolist()], weights[rows], decile[rows])

    def _standing(
        self, cells: list[Architecture], rows: NDArray[np.int64], stands: NDArray[np.float64]
    ) -> Sample:
        """Take cells at what they stand for, all in one stratum; no weights where that is the same."""
        chosen, weights = [cells[i] for i in rows.tolist()], stands[rows]
        if (weights == weights[:1]).all():
            return Sample(chosen)
        return Sample(chosen, weights, np.zeros(len(chosen), dtype=np.int64))

    def _listed(self, space: Space) -> list[Architecture]:
        """Read the cells of a file, one per line; blank lines and ``#`` comments are left out."""
        path = self.file or Path()
        try:
            lines = files.read_text(path, LARGEST).splitlines()
        except files.UnfitFileError:
            raise  # says it by itself
        except OSError as error:
            raise ValueError(f"{path}: cannot be read as text ({error.strerror})") from None
        cells: dict[Architecture, int] = {}
        for number, line in enumerate(lines, start=1):
            if not (text := line.strip()) or text.startswith("#"):
                continue
            try:
                cell = space.decode(text)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
            if cell in cells:
                raise ValueError(f"{path}:{number}: the cell of line {cells[cell]} again")
            cells[cell] = number
        if len(cells) < 2:
            raise ValueError(f"{path}:1: needs at least two cells to rank")
        return list(cells)
