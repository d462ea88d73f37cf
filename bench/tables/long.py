"""The long format: one row per cell, data set, budget and training seed, as compact parquet."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import registry
from bench.contracts.space import Space
from bench.contracts.truth import TruthError
from bench.files import write_atomically
from bench.tables.columns import (
    SPLITS,
    Measurement,
    check_percent,
    check_unique,
    missing,
    recognise,
    spelled,
)
from bench.tables.unpickle import one_line
from bench.tables.wide import Accuracy, read_columns

KEY = ("arch", "dataset", "budget", "seed")
"""What names a trial."""
NUMBERS = (
    *(f"{split}_{quantity}" for split in SPLITS for quantity in ("accuracy", "loss")),
    "parameters",
    "flops",
    "train_seconds",
    "weight",
)
"""What is known of it: accuracies in percent, parameters and FLOPs in millions; null is missing.
``weight``: how many cells of the space the cell stands for, where the table is a sample of them."""
AMOUNTS = ("parameters", "flops", "train_seconds", "weight")
"""Of the numbers, those that cannot be below zero."""
METADATA = b"bench.truth"
"""Key of the schema's metadata: JSON with source, sha256, api, provenance, format, and space
(as `bench.contracts.registry.dump` writes it) where the cells are not told by their strings alone."""
FORMAT = 1

VALIDATED = {"cifar10": "cifar10-valid"}
"""Where the benchmark keeps validation accuracies: networks trained on half of the images."""
ALIASES = {"imagenet16": "ImageNet16-120"}
"""Short data set names, as in ``imagenet16_test_200``."""


def is_long(file: Any) -> bool:
    """Say whether an open parquet file is of this format."""
    return set(KEY) <= set(file.schema_arrow.names)


def metadata(file: Any) -> dict[str, str]:
    """Return what the file says of its own origin; empty where it says nothing."""
    raw = (file.schema_arrow.metadata or {}).get(METADATA, b"{}")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}


def write(path: Path, trials: Mapping[str, Sequence[Any]], origin: Mapping[str, str]) -> None:
    """Write trials, atomically.

    Parameters
    ----------
    path
        The parquet file; its folder is made.
    trials
        Column → values, all of `KEY` and any of `NUMBERS`; None or NaN is missing.
    origin
        ``source``, ``sha256``, ``api``, ``provenance`` and, of cells that are not NAS-Bench-201's,
        ``space``.

    Raises
    ------
    TruthError
        When the trials would be refused on reading, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "arch": pa.array(trials["arch"], pa.string()).dictionary_encode(),
            "dataset": pa.array(trials["dataset"], pa.string()).dictionary_encode(),
            "budget": pa.array(trials["budget"], pa.int32()),
            "seed": pa.array(trials["seed"], pa.int64()),
            **{
                name: pa.array(trials[name], pa.float64(), from_pandas=True)
                for name in NUMBERS
                if name in trials
            },
        }
    )
    check(table, _space(origin, table["arch"].to_pylist(), str(path)), str(path))
    said = json.dumps({**origin, "format": str(FORMAT)}, sort_keys=True, ensure_ascii=False)
    table = table.replace_schema_metadata({METADATA: said.encode()})
    try:
        sink = pa.BufferOutputStream()
        pq.write_table(
            table, sink, compression="zstd", compression_level=9, write_page_checksum=True
        )
        write_atomically(path, sink.getvalue().to_pybytes())
    except OSError as error:
        raise TruthError(f"{path}: cannot be written: {one_line(error)}") from None


def read(file: Any, source: str) -> tuple[Any, Space]:
    """Read and check a whole open file.

    Returns
    -------
    tuple
        A `pyarrow.Table` with every cell as its space writes it, and the space.

    Raises
    ------
    TruthError
        When it is damaged or does not keep to the format.
    """
    import pyarrow as pa

    try:
        table = read_columns(file, [*KEY, *NUMBERS], source)
        for name, kind in zip(KEY, (pa.string(), pa.string(), pa.int64(), pa.int64()), strict=True):
            table = table.set_column(
                table.schema.get_field_index(name), name, table[name].cast(kind)
            )
        for name in NUMBERS:
            if name in table.column_names:
                index = table.schema.get_field_index(name)
                table = table.set_column(index, name, table[name].cast(pa.float64()))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise TruthError(f"{source}: damaged or not a table: {one_line(error)}") from None
    cells = table["arch"].to_pylist()
    space = _space(metadata(file), cells, source)
    names = check(table, space, source)
    if names != cells:
        index = table.schema.get_field_index("arch")
        table = table.set_column(index, "arch", pa.array(names, pa.string()))
    return table, space


def _space(said: Mapping[str, str], cells: Sequence[str | None], source: str) -> Space:
    """Return the space that the file names, or whose cells these are."""
    if "space" not in said:
        return recognise(cells)
    try:
        found: Space = registry.parse("spaces", json.loads(said["space"]))
    except (ValueError, RecursionError) as error:
        raise TruthError(f"{source}: says of its space: {one_line(error)}") from None
    return found


def check(table: Any, space: Space, source: str) -> list[str]:
    """Refuse unnamed trials, what is no cell, repeated trials, accuracies outside 0..100, and
    amounts below zero.

    Returns the cells as the space writes them.
    """
    for name in KEY:
        if table[name].null_count:
            raise TruthError(f"{source}: column {name} has empty rows")
    if not len(table):
        raise TruthError(f"{source}: no rows")
    rows = range(1, len(table) + 1)
    keys = [table[name].to_pylist() for name in KEY]
    keys[0] = spelled(keys[0], space, source, rows=rows)
    check_unique(list(zip(*keys, strict=True)), source, rows=rows)
    for name in (f"{split}_accuracy" for split in SPLITS):
        if name in table.column_names:
            values = np.asarray(table[name].to_numpy(), np.float64)
            if not np.isnan(values).all():
                check_percent(values, source, name, rows=rows)
    for name in AMOUNTS:
        if name in table.column_names:
            values = np.asarray(table[name].to_numpy(), np.float64)
            if len(below := np.flatnonzero(values < 0)):
                at = int(below[0])
                raise TruthError(f"{source}: row {rows[at]}: {name} is {values[at]:g}, below zero")
    return list(keys[0])


def weights(table: Any) -> dict[str, float]:
    """Return cell → how many cells it stands for, of a table from `read`; empty where it is whole."""
    if "weight" not in table.column_names:
        return {}
    pairs = zip(table["arch"].to_pylist(), table["weight"].to_pylist(), strict=True)
    return {cell: weight for cell, weight in pairs if weight is not None}


def resolve(measured: Measurement, known: Collection[str]) -> Measurement:
    """Translate to the data sets ``known`` for a split: CIFAR-10 is validated as another one."""
    own = measured.dataset
    validated = VALIDATED.get(own, own) if measured.split == "valid" else own
    for name in (own, validated, ALIASES.get(own, own)):
        if name in known:
            return measured._replace(dataset=name)
    return measured


def measurements(table: Any) -> list[Measurement]:
    """List what a table (from `read`) holds accuracies of, under the benchmark's own names."""
    import pyarrow.compute as pc

    found = set()
    for split in SPLITS:
        if f"{split}_accuracy" in table.column_names:
            rows = table.filter(pc.is_valid(table[f"{split}_accuracy"]))
            groups = rows.group_by(["dataset", "budget"]).aggregate([]).to_pylist()
            found |= {Measurement(row["dataset"], split, row["budget"]) for row in groups}
    return sorted(found)


def accuracies(
    table: Any, said: Mapping[str, str], measured: Measurement, source: str
) -> tuple[Accuracy, Measurement, str]:
    """Select one measurement of a table (from `read`) whose `metadata` is ``said``.

    Returns
    -------
    tuple
        Cell → accuracy per training seed [S], NaN where that trial is missing; the measurement
        under the benchmark's own name for the data set; the provenance.

    Raises
    ------
    TruthError
        When the file has no such measurement; says what it has.
    """
    column = f"{measured.split}_accuracy"
    if column not in table.column_names:
        raise missing(source, "column", column, table.column_names)
    budgets = table["budget"].to_numpy()
    values = np.asarray(table[column].to_numpy(), np.float64)
    datasets = np.array(table["dataset"].to_pylist())
    present = ~np.isnan(values)
    known = sorted(set(datasets[present].tolist()))
    measured = resolve(measured, known)
    if measured.dataset not in known:
        raise missing(source, f"data set with {measured.split} accuracies", measured.dataset, known)
    rows = present & (datasets == measured.dataset)
    if not (rows & (budgets == measured.budget)).any():
        listed = ", ".join(map(str, sorted(set(budgets[rows].tolist()))))
        raise TruthError(
            f"{source}: no {measured.dataset} with budget {measured.budget}; known: {listed}"
        )
    rows &= budgets == measured.budget
    cells = np.array(table["arch"].to_pylist(), dtype=object)[rows]
    seeds, which = np.unique(table["seed"].to_numpy()[rows], return_inverse=True)
    accuracy: Accuracy = {}
    for cell, seed, value in zip(cells, which, values[rows], strict=True):
        accuracy.setdefault(cell, np.full(len(seeds), np.nan))[seed] = value
    origin = said.get("provenance") or f"{source.rsplit('/', 1)[-1]}, long format"
    shown = ", ".join(map(str, seeds[:12])) + ("…" if len(seeds) > 12 else "")
    return accuracy, measured, f"{origin}; {measured}, training seeds {shown}"
