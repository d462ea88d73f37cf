"""What NAS-Bench-201's cells are worth on cluttered digits: a table of this project's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.contracts import identity, registry
from bench.contracts.data import DataSource
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthSource
from bench.tables.long import metadata
from bench.tables.unpickle import read_bytes
from bench.tables.wide import LARGEST, parquet_file
from bench.truth._ranked import ranked
from bench.truth.standalone import Standalone, Trained
from bench.truth.table import Table

TABLE = Path(__file__).parent / "tables" / "cluttered_digits.parquet"


class ClutteredDigits(TruthSource):
    """NAS-Bench-201 cells trained from scratch on cluttered digits: a sample, and what is found.

    A stratified random sample of the unique cells comes with the package
    (``bench/truth/tables/README.md``: recipe, noise ceiling, what it says). A cell that a search finds
    is looked up, itself or an isomorphic one, or trained by the table's recipe on the table's
    images when its search has ended, some seconds of a core, and kept in the cache as `standalone`
    keeps it. Ranks, percentile and regret are those among the sample, weighted as it was drawn. Rank
    supernets on the same cells: ``ranking: {population: {kind: known}}``.
    """

    seeds: int = Field(1, ge=1, le=100, description="trainings of a found cell, from seed 0 on")

    def content(self, space: Space, data: DataSource) -> str:
        """See `TruthSource.content`; the file is hashed, not read as a table."""
        return self._hashed(hashlib.sha256(read_bytes(TABLE, LARGEST)).hexdigest())

    def load(self) -> Truth:
        """See `TruthSource.load`."""
        source = str(TABLE)
        said = json.loads(metadata(parquet_file(read_bytes(TABLE, LARGEST), source))["source"])
        data: DataSource = registry.parse("data", said["data"])
        space: Space = registry.parse("spaces", said["space"])
        training: dict[str, Any] = said["training"]
        epochs, split = training.pop("epochs"), training["test"]
        known = Table(path=TABLE, dataset=data.dataset, split=split, budget=epochs).load()
        trainer = Standalone(epochs=epochs, training=training, data=data, seeds=self.seeds)
        asked = trainer.of(space, data)
        assert isinstance(asked, Trained)
        provenance = f"{known.provenance}; a found cell that is not among them is trained likewise"
        return ranked(asked, known.accuracy, known.weight, provenance, self._hashed(known.sha256))

    def _hashed(self, table: str) -> str:
        return identity.digest([table, self.seeds])
