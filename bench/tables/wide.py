"""Reading the wide format: one row per cell, a column per measurement (CSV, CSV.gz, parquet)."""

from __future__ import annotations

import csv
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts.space import Space
from bench.contracts.truth import TruthError
from bench.tables.columns import (
    check_percent,
    check_unique,
    missing,
    recognise,
    seed_columns,
    spelled,
)
from bench.tables.unpickle import one_line

LARGEST = 1 << 28
"""Bytes of a table, unpacked: more than that is no table of architectures."""
MOST_ROWS, MOST_COLUMNS, LONGEST = 1_000_000, 10_000, 2_000
"""Rows (the official files give 272,000), columns, and characters of a value, likewise."""

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""How a missing accuracy may be written, in any case."""

KINDS = {
    b"PK\x03\x04": "a zip or PyTorch file",
    b"\x80": "a pickle or PyTorch file",
    b"BZh": "a bz2 file",
    b"\x89HDF": "an HDF5 file",
    b"SQLite": "an SQLite file",
    b"{": "a JSON file",
    b"[": "a JSON file",
    b"<": "an HTML or XML file",
    b"%PDF": "a PDF file",
}
"""First bytes of what is often handed over instead of a table."""

Accuracy = dict[str, NDArray[np.float64]]


def is_parquet(data: bytes) -> bool:
    """Say whether the bytes begin like a parquet file."""
    return data[:4] == b"PAR1"


def parquet_file(data: bytes, source: str) -> Any:
    """Open parquet bytes.

    Raises
    ------
    TruthError
        When they are damaged or cut short.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(pa.BufferReader(data))
        # As dictionaries, so that a text that stands in every row is held once.
        words = [name for name in schema.names if _words(schema.field(name).type)]
        return pq.ParquetFile(
            pa.BufferReader(data), page_checksum_verification=True, read_dictionary=words
        )
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TruthError(f"{source}: damaged or cut short parquet: {one_line(error)}") from None


def read_columns(file: Any, wanted: Sequence[str], source: str) -> Any:
    """Read those of the columns that an open parquet file has, if they are of a table's size.

    A few bytes can stand for any number of equal rows, or of rows of one long text.

    Raises
    ------
    TruthError
        When it has more rows, or longer texts, than a table of architectures.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    said = file.metadata
    if said.num_rows > MOST_ROWS:
        raise TruthError(f"{source}: {said.num_rows:,} rows; no table has more than {MOST_ROWS:,}")
    names = [name for name in file.schema_arrow.names if name in wanted]
    groups = [said.row_group(i) for i in range(said.num_row_groups)]
    size = sum(
        group.column(i).total_uncompressed_size
        for group in groups
        for i in range(group.num_columns)
        if group.column(i).path_in_schema in names
    )
    if size > LARGEST:
        raise TruthError(f"{source}: unpacks to {size:,} bytes, more than {LARGEST:,}")
    table = file.read(columns=names, use_threads=False)
    for name in (name for name in names if _words(table.schema.field(name).type)):
        for chunk in table[name].chunks:
            values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            longest = pc.max(pc.binary_length(values)).as_py() or 0
            if longest > LONGEST or longest * len(table) > LARGEST:
                raise TruthError(f"{source}: column {name} holds texts of {longest:,} bytes")
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.string()))
    return table


def _words(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def unpack(data: bytes, source: str) -> bytes:
    """Return the text of a CSV file, gzip or not, and refuse what is plainly no table.

    Raises
    ------
    TruthError
        When the archive is damaged, cut short or unpacks to more than `LARGEST` bytes.
    """
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data, source)
    for start, kind in KINDS.items():
        if data.startswith(start):
            advice = (
                "; run: bench truth import FILE"
                if start in (b"PK\x03\x04", b"\x80", b"BZh")
                else ""
            )
            raise TruthError(f"{source}: not a table but {kind}{advice}")
    if not data.strip():
        raise TruthError(f"{source}: empty")
    if b"\0" in data:
        raise TruthError(f"{source}: not a table: binary data")
    return data


def _gunzip(data: bytes, source: str) -> bytes:
    parts, room = [], LARGEST
    while data:  # a gzip file may have several members
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(data, room))
        except zlib.error as error:
            raise TruthError(f"{source}: damaged gzip: {one_line(error)}") from None
        room -= len(parts[-1])
        if member.unconsumed_tail or room <= 0:
            raise TruthError(f"{source}: unpacks to more than {LARGEST:,} bytes")
        if not member.eof:
            raise TruthError(f"{source}: gzip file cut short")
        data = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def columns_of_csv(text: bytes, source: str) -> list[str]:
    """Return the header of a CSV file.

    Raises
    ------
    TruthError
        When it is not text or names a column twice.
    """
    head = text.lstrip(b"\r\n")[: 1 << 20].split(b"\n", 1)[0]
    try:
        names = next(csv.reader(io.StringIO(head.decode("utf-8-sig"))), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise TruthError(f"{source}: not a CSV table: {one_line(error)}") from None
    return _header(names, source)


def _header(names: Sequence[str], source: str) -> list[str]:
    names = [name.strip() for name in names]
    shown = ", ".join(names[:40])
    if "arch" not in names:
        hint = next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in shown), "")
        hint = f"; its separator seems to be {hint!r}: write it with commas" if hint else ""
        raise TruthError(
            f"{source}: not a table of truth: no column 'arch'; columns: {shown:.400}{hint}"
        )
    if len(names) > MOST_COLUMNS:
        raise TruthError(f"{source}: {len(names):,} columns; no table has that many")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise TruthError(f"{source}: column {name!r} occurs {times} times")
    return names


def read_csv(text: bytes, column: str, source: str) -> tuple[Accuracy, Space]:
    """Read one measurement from a CSV file, and whose cells; row numbers are line numbers."""
    import pyarrow as pa
    import pyarrow.csv as pc

    names = columns_of_csv(text, source)
    wanted = select(column, names, source)
    if text.count(b"\n") > MOST_ROWS:
        raise TruthError(f"{source}: more than the {MOST_ROWS:,} rows that a table may have")
    lines = [i for i, line in enumerate(text.split(b"\n"), 1) if line.rstrip(b"\r")]
    text = text.lstrip(b"\r\n")  # blank lines are no rows, but are counted
    try:
        table = pc.read_csv(
            pa.BufferReader(text),
            read_options=pc.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            convert_options=pc.ConvertOptions(
                include_columns=["arch", *wanted],
                column_types=dict.fromkeys(["arch", *wanted], pa.string()),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TruthError(f"{source}: not a CSV table: {one_line(error)}") from None
    rows = lines[1:] if len(lines) == len(table) + 1 else range(2, len(table) + 2)
    return _collect(table, wanted, source, rows=rows)


def read_parquet(data: bytes, column: str, source: str) -> tuple[Accuracy, Space]:
    """Read one measurement from wide parquet, and whose cells; row numbers start at 1."""
    import pyarrow as pa

    file = parquet_file(data, source)
    names = _header(file.schema_arrow.names, source)
    wanted = select(column, names, source)
    try:
        table = read_columns(file, ["arch", *wanted], source)
        at = table.schema.get_field_index("arch")
        table = table.set_column(at, "arch", table["arch"].cast(pa.string()))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TruthError(f"{source}: damaged or cut short parquet: {one_line(error)}") from None
    return _collect(table, wanted, source, rows=range(1, len(table) + 1))


def select(column: str, names: Sequence[str], source: str) -> list[str]:
    """Return the column itself, or else its ``_seed<N>`` columns by seed.

    Raises
    ------
    TruthError
        When there is neither; says what there is.
    """
    if column != "arch":
        if column in names:
            return [column]
        if seeds := seed_columns(column, names):
            return list(seeds.values())
    raise missing(source, "column", column, [name for name in names if name != "arch"])


def _collect(
    table: Any, wanted: Sequence[str], source: str, *, rows: Sequence[int]
) -> tuple[Accuracy, Space]:
    cells: list[str | None] = table["arch"].to_pylist()
    if not cells:
        raise TruthError(f"{source}: no rows")
    space = recognise(cells)
    names = spelled(cells, space, source, rows=rows)
    check_unique(names, source, rows=rows)
    values = np.stack([_numbers(table[name], source, name, rows=rows) for name in wanted], axis=1)
    for i, name in enumerate(wanted):
        check_percent(values[:, i], source, name, rows=rows)
    return dict(zip(names, values, strict=True)), space


def _numbers(column: Any, source: str, name: str, *, rows: Sequence[int]) -> NDArray[np.float64]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(numbers, np.float64)
    words = column.to_pylist()
    try:
        if not any("_" in word for word in words):  # Python reads 9_4 as 94
            return np.array(words, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    return np.array(
        [_number(word, source, name, row) for row, word in zip(rows, words, strict=True)]
    )


def _number(word: Any, source: str, name: str, row: int) -> float:
    if word is None or (isinstance(word, str) and word.strip().lower() in MISSING):
        return np.nan
    try:
        if isinstance(word, str) and "_" not in word:
            return float(word)
    except ValueError:
        pass
    raise TruthError(f"{source}: row {row}: {name} is not a number: {str(word)!r:.60}")
