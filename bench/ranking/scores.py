"""The stored scores of a ranking, read so that a few bytes cannot become gigabytes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.files import UnfitFileError, read
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
        When it is no such file, or holds more than a ranking has.
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
        frame: pd.DataFrame = kept.read(use_threads=False).to_pandas()
    except (pa.ArrowException, ValueError, TypeError) as error:
        if isinstance(error, UnfitFileError):
            raise
        reason = one_line(error, 120)
        raise UnfitFileError(f"{path}: not a table of scores ({reason})") from None
    for name in texts:
        frame[name] = frame[name].astype(object)
    return frame
