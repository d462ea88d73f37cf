"""What there is in a truth, and whether it can be what it says: for `bench truth info | verify`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import registry
from bench.contracts.space import Space
from bench.contracts.truth import Truth, TruthError
from bench.ranking.correlation import noise_ceiling
from bench.tables import long
from bench.tables.columns import Measurement, parse_column
from bench.tables.unpickle import read_bytes
from bench.tables.wide import LARGEST, columns_of_csv, is_parquet, parquet_file, unpack
from bench.truth.table import Table
from bench.written import finite

FEWEST = 20
"""Cells below which a rank correlation is not given."""


@dataclass(frozen=True)
class Check:
    """One question asked of a truth; ``ok`` is None where it could not be asked."""

    name: str
    ok: bool | None
    found: str


def truths(name_or_path: str) -> Iterator[Truth]:
    """Load every measurement of a registered truth or of a table.

    Raises
    ------
    TruthError
        When it is neither, or cannot be read.
    """
    names = registry.names("truth")
    path = Path(name_or_path)
    if name_or_path in names and name_or_path != "table":
        kind = registry.load("truth", name_or_path)
        if missing := [name for name, info in kind.model_fields.items() if info.is_required()]:
            raise TruthError(
                f"{name_or_path}: needs {', '.join(missing)}; it can be given in an ablation file"
            )
        yield kind().load()
        return
    if not path.exists():
        raise TruthError(
            f"{name_or_path}: no such file, and no truth is called so "
            f"(known: {', '.join(name for name in names if name != 'table')})"
        )
    data = read_bytes(path, LARGEST)
    if is_parquet(data) and long.is_long(file := parquet_file(data, name_or_path)):
        (table, space), said = long.read(file, name_or_path), long.metadata(file)
        digest = hashlib.sha256(data).hexdigest()
        for measured in long.measurements(table):
            accuracy, _, provenance = long.accuracies(table, said, measured, name_or_path)
            yield Truth(
                accuracy,
                measured.dataset,
                measured.budget,
                measured.split,
                provenance,
                digest,
                space,
            )
        return
    for column in _columns(data, name_or_path):
        yield Table(path=path, column=column).load()


def _columns(data: bytes, source: str) -> list[str]:
    if is_parquet(data):
        names = list(parquet_file(data, source).schema_arrow.names)
    else:
        names = columns_of_csv(unpack(data, source), source)
    measured = (name.partition("_seed")[0] for name in names)
    columns = list(dict.fromkeys(name for name in measured if parse_column(name)))
    if not columns:
        raise TruthError(
            f"{source}: no column is named <dataset>_<split>_<budget>, such as cifar10_test_200; "
            f"columns: {', '.join(names):.300}"
        )
    return columns


@functools.lru_cache(maxsize=1 << 15)
def _canonical(name: str, space: Space) -> Hashable:
    return space.canonical(space.decode(name))


def summary(truth: Truth) -> dict[str, Any]:
    """Return coverage, best, mean, noise ceiling and hash as plain values.

    The noise ceiling is the mean τ-b of the accuracies of one training seed with those of another
    over the unique cells that have both; None where no two seeds share `FEWEST` cells.
    """
    names = list(truth.reference)
    table = np.stack([truth.accuracy[name] for name in names])
    means = truth.measured(names)
    measured = ~np.isnan(means)
    classes = {_canonical(name, truth.space): i for i, name in enumerate(names) if measured[i]}
    first = list(classes.values())
    present = ~np.isnan(table)
    return {
        "measured": str(Measurement(truth.dataset, truth.split, truth.budget)),
        "cells": int(measured.sum()),
        "unique_cells": len(first),
        "seeds": table.shape[1],
        "missing_trials": int((~present[measured]).sum()),
        "best": float(np.nanmax(means)),
        "best_cell": names[int(np.nanargmax(means))],
        "mean": truth.random,
        "noise_ceiling": finite(noise_ceiling(table[first], fewest=FEWEST)),
        "sha256": truth.sha256,
        "provenance": truth.provenance,
    }


def checks(truth: Truth) -> list[Check]:
    """Ask whether the cells can be named rightly and the numbers be what they say.

    A table whose operations or edges are in another order than its strings say is full of
    plausible numbers. But isomorphic cells are the same network trained twice, so their ranks must
    agree, and a cell without a path from input to output can only guess.
    """
    space = truth.space
    names = list(truth.accuracy)
    means = truth.measured(names)
    names = [name for name, mean in zip(names, means, strict=True) if not np.isnan(mean)]
    means = means[~np.isnan(means)]
    connected = np.array([space.connected(space.decode(name)) for name in names])
    _, group = np.unique([str(_canonical(name, space)) for name in names], return_inverse=True)
    sizes = np.bincount(group)
    complete = _complete(space, len(names))
    found = [
        complete,
        _differ(means),
        _twins(means, group, sizes),
        _guessing(means, connected),
    ]
    measured = str(Measurement(truth.dataset, truth.split, truth.budget))
    if (published := space.published.get(measured)) and complete.ok:
        values = {"best": float(means.max()), "mean": float(means.mean())}
        same = all(abs(values[name] - published[name]) < 0.006 for name in published)
        said = ", ".join(f"{k} {values[k]:.2f} (published {published[k]})" for k in published)
        # Networks evaluated or trained again differ rightly: to be known, not to be refused.
        found.append(Check("the paper's own values", True if same else None, said))
    return found


def _complete(space: Space, known: int) -> Check:
    if not space.enumerable:
        return Check("complete", None, f"{known:,} cells; {space.name} has too many to be complete")
    cells = sum(1 for _ in space.architectures())
    missing = cells - known
    return Check("complete", None if missing else True, f"{missing:,} of {cells:,} cells missing")


def _differ(means: np.ndarray[Any, Any]) -> Check:
    name = "accuracies differ"
    if len(means) < FEWEST:
        return Check(name, None, f"only {len(means)} cells")
    values = len(np.unique(means))
    return Check(name, values > 1, f"{values:,} values among {len(means):,} cells")


def _twins(
    means: np.ndarray[Any, Any], group: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]
) -> Check:
    name = "isomorphic cells agree"
    twin = sizes[group] > 1
    if twin.sum() < FEWEST or np.ptp(means[twin]) == 0:
        return Check(name, None, "too few isomorphic cells that differ")
    from scipy.stats import rankdata

    ranks = rankdata(means)
    within = ranks - (np.bincount(group, ranks) / sizes)[group]
    # Of a class of n the class mean takes up one degree of freedom.
    freedom = twin.sum() - (sizes > 1).sum()
    share = 1 - (within[twin] ** 2).sum() / freedom / ranks[twin].var()
    return Check(
        name,
        bool(share > 0.5),
        f"{share:.3f} of the variance of ranks lies between classes, {twin.sum():,} cells",
    )


def _guessing(means: np.ndarray[Any, Any], connected: np.ndarray[Any, Any]) -> Check:
    name = "disconnected cells only guess"
    if connected.all() or not connected.any():
        return Check(name, None, "no disconnected cells to compare with")
    highest, median = means[~connected].max(), float(np.median(means[connected]))
    return Check(
        name,
        bool(highest < median),
        f"at most {highest:.2f}, others {median:.2f} in the median, {(~connected).sum()} cells",
    )


def source_check(table: str, source: Path) -> Check:
    """Compare an official file's hash with the one that its import recorded.

    Raises
    ------
    TruthError
        When the table is not an import or a file is missing.
    """
    from bench.truth._official_files import digest  # late: saves start-up time

    data = read_bytes(Path(table), LARGEST)
    said = long.metadata(parquet_file(data, table)) if is_parquet(data) else {}
    if "sha256" not in said:
        raise TruthError(f"{table}: records no source; only imports by bench truth import do")
    if not source.exists():
        raise TruthError(f"{source}: no such file")
    found = digest(source)
    return Check("source", found == said["sha256"], f"{source} has sha256 {found[:12]}…")
