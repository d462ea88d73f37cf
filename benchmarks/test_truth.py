"""Reading truth tables: seconds of processor time, once imports and known cells are paid for.

``pytest benchmarks/test_truth.py``. Searches read the table when they begin, so it must not be felt.
"""

from __future__ import annotations

import time

import pytest

from bench.contracts.truth import TruthSource
from bench.truth.analog import Analog
from bench.truth.table import Table
from tests.truth import builders


@pytest.mark.parametrize(
    ("source", "limit"),
    [(Table(path=builders.REAL), 0.5), (Analog(), 1.0)],
    ids=["table", "analog"],
)
def test_reading_is_fast(source: TruthSource, limit: float) -> None:
    if isinstance(source, Table) and not builders.REAL.exists():
        pytest.skip(f"{builders.REAL} is not there")
    source.load()
    start = time.process_time()
    source.load()
    assert time.process_time() - start < limit
