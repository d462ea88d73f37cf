"""What of a mixed cell is to be run by the kernel: operations, nodes, rows of weights, hooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from bench.contracts.space import Active, CellHooks
from bench.kernels.recorded import NOTHING, Record, record
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES

if TYPE_CHECKING:
    from bench.spaces.nb201.supernet import MixedCell

NAMES = tuple(f"conv{kernel}.{node}" for node in range(3) for kernel in (3, 1))
"""The merged convolutions in the order in which they are handed on."""


@dataclass(frozen=True)
class Plan:
    """What of a cell is to be run.

    Attributes
    ----------
    runs
        The operations of every edge.
    wanted
        The nodes, of 1 to 3, that lead to the output and have a value.
    rows
        For every merged convolution of `NAMES`, the positions of the edges whose convolution is run.
    width, partial
        Channels that are mixed: one in ``partial``.
    record
        What variants do.
    """

    runs: tuple[tuple[int, ...], ...]
    wanted: frozenset[int]
    rows: tuple[tuple[int, ...], ...]
    width: int
    partial: int
    record: Record


def plan(
    cell: MixedCell, x: Tensor, active: Active | None, hooks: CellHooks | None, position: int
) -> Plan:
    """Say what of a cell is to be run: nothing that the output does not depend on.

    Raises
    ------
    UnrecordedError
        Where hooks do what the kernel cannot.
    """
    partial = cell.partial if hooks is None or hooks.partial is None else hooks.partial
    width = x.shape[1] // partial
    runs = tuple(
        tuple(o for o in range(1, 5) if active is None or o in active[edge])
        for edge in range(len(EDGES))
    )
    done = NOTHING if hooks is None else record(hooks, position, x, width, runs)
    linked = [bool(row) or partial > 1 or edge in done.straight for edge, row in enumerate(runs)]
    reached, wanted = {0}, {3}
    for edge, (source, target) in enumerate(EDGES):
        # A node that nothing reaches is zero, and what leaves it too, unless something is added.
        if source in reached and (linked[edge] or hooks is not None or not cell.exact_zeros):
            reached.add(target)
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        if linked[edge] and target in wanted and source in reached:
            wanted.add(source)
    live = tuple(
        row if source in reached and target in wanted else ()
        for row, (source, target) in zip(runs, EDGES, strict=True)
    )
    rows = tuple(
        tuple(i for i, edge in enumerate(merged.edges) if operation in live[edge])
        for merged, operation in stacked(cell)
    )
    return Plan(live, frozenset(wanted & reached), rows, width, partial, done)


def stacked(cell: MixedCell) -> list[tuple[Any, int]]:
    """Return the merged convolutions in the order of `NAMES`, with their operation."""
    return [
        (merged, operation)
        for node in range(3)
        for merged, operation in ((cell.conv3[node], CONV3), (cell.conv1[node], CONV1))
    ]
