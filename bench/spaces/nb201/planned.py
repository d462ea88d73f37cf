"""What of a mixed cell is to be run by the kernel: operations, nodes, rows of weights."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from torch import Tensor

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active
from bench.kernels.recorded import NOTHING, Record, record
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES
from bench.spaces.nb201.mixed_cell import MixedCell

Rows = tuple[tuple[int, ...], ...]
STACKED = tuple((node, kernel) for node in range(3) for kernel in (CONV3, CONV1))
"""The merged convolutions, by source and operation, in the order in which they are handed on."""
NAMES = tuple(f"conv{3 if operation == CONV3 else 1}.{node}" for node, operation in STACKED)
EVERYTHING: Rows = ((1, 2, 3, 4),) * len(EDGES)
"""The operations that are computed, for every edge: all but `none`."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What of a cell is to be run.

    Attributes
    ----------
    runs
        The operations of every edge.
    wanted
        The nodes, of 1 to 3, that lead to the output and have a value.
    rows
        For every merged convolution of `STACKED`, the positions of the edges that are run.
    width, partial
        Channels that are mixed: one in ``partial``.
    normal
        (edge, operation) of skips and pools that are normalised.
    touched
        (edge, operation) → 1 where the output gets a factor and an addend, 2 where it is replaced.
    """

    runs: Rows
    wanted: frozenset[int]
    rows: Rows
    width: int
    partial: int
    normal: frozenset[tuple[int, int]]
    touched: dict[tuple[int, int], int]


def plan(
    cell: MixedCell, x: Tensor, active: Active | None, hooks: CellHooks | None, position: int
) -> tuple[Plan, Record]:
    """Say what of a cell is to be run, nothing that the output does not depend on, and what hooks do.

    Raises
    ------
    UnrecordedError
        Where hooks do what the kernel cannot.
    """
    partial = cell.partial if hooks is None or hooks.partial is None else hooks.partial
    width = x.shape[1] // partial
    runs = EVERYTHING if active is None else tuple(tuple(sorted({*a} - {0})) for a in active)
    if hooks is None:
        return _planned(runs, cell.exact_zeros, width, partial), NOTHING
    done = record(hooks, position, x, width, runs)
    normal = frozenset(place for place, touch in done.operations.items() if touch.normal)
    touched = tuple((*place, t.kind) for place, t in done.operations.items() if t.kind)
    return _planned(runs, False, width, partial, done.straight, normal, touched), done


@functools.lru_cache(maxsize=1024)
def _planned(
    runs: Rows,
    exact: bool,
    width: int,
    partial: int,
    straight: frozenset[int] = frozenset(),
    normal: frozenset[tuple[int, int]] = frozenset(),
    touched: tuple[tuple[int, int, int], ...] = (),
) -> Plan:
    linked = [bool(row) or partial > 1 or edge in straight for edge, row in enumerate(runs)]
    reached, wanted = {0}, {3}
    for edge, (source, target) in enumerate(EDGES):
        # A node that nothing reaches is zero, and what leaves it too, unless something is added.
        if source in reached and (linked[edge] or not exact):
            reached.add(target)
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        if linked[edge] and target in wanted and source in reached:
            wanted.add(source)
    live = tuple(
        row if source in reached and target in wanted else ()
        for row, (source, target) in zip(runs, EDGES, strict=True)
    )
    leaving = [[e for e, (source, _) in enumerate(EDGES) if source == node] for node in range(3)]
    rows = tuple(
        tuple(i for i, edge in enumerate(leaving[node]) if operation in live[edge])
        for node, operation in STACKED
    )
    kinds = {(edge, operation): kind for edge, operation, kind in touched}
    return Plan(live, frozenset(wanted & reached), rows, width, partial, normal, kinds)
