"""Truth from a table: CSV(.gz) or parquet, wide or long, such as `bench truth import` writes."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from pydantic import Field

from bench.contracts.data import DataSource
from bench.contracts.identity import Place
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError, TruthSource
from bench.tables.columns import Measurement, Split, parse_column
from bench.tables.long import accuracies, is_long, metadata, read, weights
from bench.tables.unpickle import read_bytes
from bench.tables.wide import LARGEST, is_parquet, parquet_file, read_csv, read_parquet, unpack


class Table(TruthSource):
    """A table with a column `arch` and named accuracies in percent.

    Wide tables have a column per measurement, named ``<dataset>_<split>_<budget>``
    (``cifar10_test_200``), or one per training seed, ``cifar10_test_200_seed777``; a column of
    exactly the name wins over its seeds. Long tables have a row per training seed. Either way the
    measurement is said by ``column`` or by ``dataset``, ``split`` and ``budget``; what is not said
    is CIFAR-10, test, 200 epochs.

    Cells are NAS-Bench-201 strings or genotypes of the DARTS space. A cell that the table does not
    hold has the accuracy of the first isomorphic one that it holds (the same network by the space's
    canonical form; the result and the page say so), and none where there is no such cell.
    """

    space: ClassVar[str | None] = None

    path: Place
    """The file; relative paths are taken from the working directory."""
    column: str | None = None
    """For example ``cifar10_test_200``."""
    dataset: str | None = None
    split: Split | None = None
    budget: int | None = Field(default=None, ge=0)
    """Training epochs."""

    @property
    def doubtful(self) -> bool:
        """See `TruthSource.doubtful`."""
        return True

    @property
    def origin(self) -> str:
        """The file."""
        return str(self.path)

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; the file is hashed, not read as a table."""
        return hashlib.sha256(read_bytes(self.path, LARGEST)).hexdigest()

    def load(self) -> Truth:
        """See `TruthSource.load`."""
        measured = self._measurement()
        column = self.column or str(measured)
        source = str(self.path)
        data = read_bytes(self.path, LARGEST)
        digest = hashlib.sha256(data).hexdigest()
        provenance = f"column {column} of {self.path.name}"
        weight: dict[str, float] = {}
        if not is_parquet(data):
            accuracy, space = read_csv(unpack(data, source), column, source)
        elif is_long(file := parquet_file(data, source)):
            if measured is not None:
                trials, space = read(file, source)
                weight = weights(trials)
                accuracy, measured, provenance = accuracies(
                    trials, metadata(file), measured, source
                )
        else:
            accuracy, space = read_parquet(data, column, source)
        if measured is None:  # said only now: a misspelt column is the likelier mistake
            raise TruthError(
                f"column {column!r} is not named <dataset>_<split>_<budget>, "
                "such as cifar10_test_200: say dataset, split and budget as well"
            )
        return Truth(
            accuracy=accuracy,
            dataset=measured.dataset,
            budget=measured.budget,
            split=measured.split,
            provenance=f"{provenance} (sha256 {digest[:12]})",
            sha256=digest,
            space=space,
            weight={cell: w for cell, w in weight.items() if cell in accuracy},
        )

    def _measurement(self) -> Measurement | None:
        """Return what is meant; None where the column's name does not say and no field does."""
        said = parse_column(self.column) if self.column else None
        if said is not None:
            fields = {"dataset": self.dataset, "split": self.split, "budget": self.budget}
            for name, value in fields.items():
                if value is not None and value != getattr(said, name):
                    raise TruthError(
                        f"column {self.column!r} and {name} {value!r} contradict each other; "
                        f"leave out {name}"
                    )
            return said
        if self.column and None in (self.dataset, self.split, self.budget):
            return None
        return Measurement(
            self.dataset or "cifar10",
            self.split or "test",
            200 if self.budget is None else self.budget,
        )
