"""The stored scores of a ranking, read so that a few bytes cannot become gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.files import UnfitFileError, read
from bench.shapes import REAL
from bench.written import one_line

LARGEST = 16_000_000
"""Bytes of a file; the scores of a whole space have 2 million."""
ROWS, COLUMNS = 200_000, 64
CODECS = {"SNAPPY", "UNCOMPRESSED"}
"""What this program writes; others pack thousands of bytes into one."""


def read_scores(path: Path) -> pd.DataFrame:
    """Return the scores of a ranking, a row per architecture.

    Raises
    ------
    UnfitFileError
        When it is no such file, holds more than a ranking has, or lacks a column or its type.
    OSError
        When it is missing or cannot be read.
    """
    frame = read_table(path)
    for name, (fits, what) in _FIELDS.items():
        if name not in frame.columns:
            if name in _OPTIONAL:
                continue
            raise UnfitFileError(f"{path}: {name}: missing")
        if not fits(frame[name]):
            raise UnfitFileError(f"{path}: {name}: expected {what}")
    return frame


def _texts(values: pd.Series[Any]) -> bool:
    return all(type(value) is str for value in values)


def _numbers(values: pd.Series[Any]) -> bool:
    """Say whether these are numbers of a usual size; NaN is missing, a lost network's loss infinite."""
    if values.dtype.kind not in "fiu":
        return False
    found = values.to_numpy(dtype=float)
    found = found[np.isfinite(found)]
    return bool((np.abs(found) <= REAL).all())


def _weights(values: pd.Series[Any]) -> bool:
    found = values.to_numpy()
    return found.dtype.kind in "fiu" and bool(((found > 0) & (found <= REAL)).all())


def _strata(values: pd.Series[Any]) -> bool:
    return values.dtype.kind in "iu"


_FIELDS: dict[str, tuple[Callable[[pd.Series[Any]], bool], str]] = {
    "arch": (_texts, "texts"),
    "accuracy": (_numbers, "numbers"),
    "loss": (_numbers, "numbers"),
    "truth": (_numbers, "numbers"),
    "parameters": (_numbers, "numbers"),
    "weight": (_weights, "numbers above zero"),
    "stratum": (_strata, "whole numbers"),
}
"""Of the scores of a ranking, what is used → whether a column is it, and what it should be."""
_OPTIONAL = ("parameters", "weight", "stratum")


def read_table(path: Path) -> pd.DataFrame:
    """Return a small table that this program has written.

    Raises
    ------
    UnfitFileError
        When it is no such file, or holds more than such a table has.
    OSError
        When it is missing or cannot be read.
    """
    content = read(path, LARGEST, links=False)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        told = file.metadata
        if told.num_rows > ROWS or told.num_columns > COLUMNS:
            raise UnfitFileError(
                f"{path}: {told.num_rows:,} rows of {told.num_columns:,} columns are more than a "
                f"ranking has ({ROWS:,}, {COLUMNS})"
            )
        packed = {
            told.row_group(g).column(c).compression
            for g in range(told.num_row_groups)
            for c in range(told.num_columns)
        }
        if not packed <= CODECS:
            raise UnfitFileError(f"{path}: compressed in a way in which no ranking is written")
        # Texts stay what they are in the file, one copy of each, until they are objects.
        texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        kept = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
        if len(set(told.schema.names)) != len(told.schema.names):
            raise UnfitFileError(f"{path}: has a column twice")
        # What pandas notes of an index is not asked for: nothing here has one.
        frame: pd.DataFrame = kept.read(use_threads=False).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, UnfitFileError):
            raise
        raise UnfitFileError(f"{path}: not a table ({one_line(error, 120)})") from None
    for name in texts:
        frame[name] = frame[name].astype(object)
    return frame
