"""What the benchmark's authors publish about their files, and how an import compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.contracts import registry
from bench.contracts.truth import NB201

SEEDS = {
    "NAS-Bench-201-v1_0": {1: 6219, 2: 1621, 3: 7785},
    "NAS-Bench-201-v1_1": {1: 2225, 2: 5439, 3: 7961},
}
"""Release → cells by their number of training seeds at 200 epochs (the API's own notes)."""


def notes(name: str, table: Mapping[str, Sequence[Any]], out: Path) -> list[str]:
    """Say what is not as published: cells that are missing, seeds, the means of the paper.

    Parameters
    ----------
    name
        What the source is called.
    table
        The trials' columns.
    out
        The table that was written.
    """
    space: Any = registry.parse("spaces", NB201)
    total = sum(1 for _ in space.architectures())
    known = len(set(table["arch"]))
    if known < total:
        return [f"incomplete: {known:,} of {total:,} cells; the others have no truth"]
    found = []
    for release, expected in SEEDS.items():
        if name.startswith(release):
            trials = zip(table["arch"], table["dataset"], table["budget"], strict=True)
            of_cell = Counter(arch for arch, data, n in trials if (data, n) == ("cifar10", 200))
            if (counts := dict(Counter(of_cell.values()))) != expected:
                said = ", ".join(f"{n:,} with {k}" for k, n in sorted(counts.items()))
                found.append(f"cells by training seeds differ from those published: {said}")
    from bench.truth._summary import checks, truths  # late: saves start-up time

    for truth in truths(str(out)):
        measured = f"{truth.dataset}_{truth.split}_{truth.budget}"
        if measured in space.published:
            found += [f"{measured}: {c.name}: {c.found}" for c in checks(truth) if not c.ok]
    return found
