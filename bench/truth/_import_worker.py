"""The process that reads an official file: ``python -m bench.truth._import_worker IN OUT NAME``."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.contracts.truth import TruthError
from bench.tables import long
from bench.truth import _official_files as files
from bench.truth import _published as published
from bench.truth._trials import trials

Trials = dict[str, list[Any]]
Said = Callable[[str, int, int], None]
"""Called now and then: what is being done, how much of it, of how much."""


def _silent(*_: Any) -> None: ...


def convert(path: Path, out: Path, source: str, said: Said = _silent) -> dict[str, Any]:
    """Read an official file and write the long table; see `_official.import_official`."""
    digest = files.digest(path, lambda done, of: said("checking", done, of))
    opened = files.blocks(path, source, lambda done, of: said("reading", done, of))
    table: Trials = {name: [] for name in (*long.KEY, *long.NUMBERS)}
    owner: dict[str, int] = {}
    for cell in opened.cells:
        for row in _rows(cell, opened.names):
            if owner.setdefault(row["arch"], cell.number) != cell.number:
                raise TruthError(
                    f"{cell.source}: cell {cell.number}: it is cell {owner[row['arch']]} again"
                )
            for column, values in table.items():
                values.append(row.get(column))
    if not owner:
        raise TruthError(f"{source}: no trials in it")
    said("writing", 0, 1)
    long.write(
        out,
        table,
        {
            "source": Path(source).name,
            "sha256": digest,
            "provenance": f"{opened.benchmark}, {Path(source).name} (sha256 {digest[:12]}), "
            "every training seed on its own",
        },
    )
    found = {"sha256": digest, "benchmark": opened.benchmark, **coverage(table)}
    return {**found, "notes": published.notes(Path(source).name, table, out)}


@functools.cache
def _cell(text: str) -> None:
    """Refuse what is no cell of the space, while it is known where it stands."""
    from bench.spaces.nb201 import cells  # late: loads torch

    cells.decode(text)


def _rows(cell: files.Cell, names: list[Any] | None) -> Iterator[dict[str, Any]]:
    where = f"{cell.source}: cell {cell.number}"
    if names is not None and not 0 <= cell.number < len(names):
        raise TruthError(f"{where}: but there are only {len(names)} cells")
    name = None if names is None else names[cell.number]
    if name is not None and type(name) is not str:
        raise TruthError(f"{where}: its name is no string")
    try:
        for budget, state in cell.sets.items():
            for row in trials(state, cell.number, name, budget):
                _cell(row["arch"])
                yield row
    except ValueError as error:  # TruthError is one; so is what is no cell
        raise TruthError(f"{where}: {error}") from None


def coverage(table: Trials) -> dict[str, Any]:
    """Count trials and cells per data set and budget, and cells by their number of seeds."""
    keys = zip(table["dataset"], table["budget"], table["arch"], strict=True)
    seeds = Counter(keys)
    measured: dict[str, dict[str, Any]] = {}
    for (dataset, budget, _), count in seeds.items():
        entry = measured.setdefault(
            f"{dataset} {budget}", {"trials": 0, "cells": 0, "cells_by_seeds": {}}
        )
        entry["trials"] += count
        entry["cells"] += 1
        entry["cells_by_seeds"][count] = entry["cells_by_seeds"].get(count, 0) + 1
    return {
        "cells": len(set(table["arch"])),
        "trials": len(table["arch"]),
        "values": sum(
            value is not None
            for name in long.NUMBERS
            if name not in ("parameters", "flops")  # not measured
            for value in table[name]
        ),
        "measured": dict(sorted(measured.items())),
    }


@contextlib.contextmanager
def bounded(size: int) -> Iterator[None]:
    """Bound memory and time while a stranger's file of ``size`` bytes is read.

    A few bytes of a pickle can ask for any amount of either. Real files need about 6 bytes of
    memory per byte unpacked and 40 ms of a processor per megabyte; this leaves tenfold room.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError, ValueError):  # not Linux: no bound there
        yield
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + (1 << 29) + 64 * size,
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + 20 + size // (100 << 10),
    }
    before = {name: resource.getrlimit(name) for name in limits}
    for name, limit in limits.items():
        hard = before[name][1]
        resource.setrlimit(name, (limit if hard < 0 else min(limit, hard), hard))
    try:
        yield
    finally:
        for name, both in before.items():
            resource.setrlimit(name, both)


def _reporter() -> Said:
    """Return what prints a line of JSON at most twice a second."""
    last = 0.0

    def said(what: str, done: int, of: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= 0.5:
            last = now
            print(json.dumps({"doing": what, "done": done, "of": of}), flush=True)

    return said


def main(path: str, out: str, source: str) -> int:
    """Convert, and answer with lines of JSON: progress, then the summary or ``error``."""
    try:
        files.kind(Path(path), source)
        size = sum(file.stat().st_size for file in files.members(Path(path), source))
        with bounded(size):
            answer = convert(Path(path), Path(out), source, _reporter())
    except TruthError as error:
        answer = {"error": str(error)}
    except OSError as error:
        answer = {"error": f"{source}: cannot be read: {error}"}
    except MemoryError:
        answer = {"error": f"{source}: not enough memory to read it"}
    print(json.dumps(answer), flush=True)
    return 2 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
