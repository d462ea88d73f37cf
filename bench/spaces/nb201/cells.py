"""NAS-Bench-201 cells: strings, isomorphism, connectivity, parameter count. No torch here."""

from __future__ import annotations

import functools
import itertools
import re

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the benchmark's own order."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) in the order in which the benchmark's strings name them."""
NONE, SKIP, CONV1, CONV3, POOL = range(5)

Cell = tuple[int, ...]


def encode(cell: Cell) -> str:
    """Write a cell as the benchmark does: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    if len(cell) != len(EDGES) or not all(0 <= operation < len(OPERATIONS) for operation in cell):
        raise ValueError(f"not a NAS-Bench-201 cell: {cell!r}")
    nodes: dict[int, str] = {}
    for (source, target), operation in zip(EDGES, cell, strict=True):
        nodes[target] = nodes.get(target, "|") + f"{OPERATIONS[operation]}~{source}|"
    return "+".join(nodes[target] for target in sorted(nodes))


def decode(text: str) -> Cell:
    """Read the benchmark's string.

    Raises
    ------
    ValueError
        When the text is not exactly such a string; says what is wrong.
    """
    nodes = text.split("+")
    if len(nodes) != 3:
        raise ValueError(
            f"a NAS-Bench-201 cell has 3 nodes joined by '+', not {len(nodes)}: {text!r}"
        )
    cell = []
    for i, node in enumerate(nodes, start=1):
        if not re.fullmatch(r"\|([^|]+\|)+", node):
            raise ValueError(f"node {i} is not of the form |op~0|...|: {node!r}")
        parts = node[1:-1].split("|")
        if len(parts) != i:
            raise ValueError(f"node {i} needs {i} edges, has {len(parts)}: {node!r}")
        for source, part in enumerate(parts):
            operation, _, origin = part.partition("~")
            if operation not in OPERATIONS:
                raise ValueError(f"unknown operation {operation!r}; known: {', '.join(OPERATIONS)}")
            if origin != str(source):
                raise ValueError(f"edge {source} of node {i} must end in ~{source}: {part!r}")
            cell.append(OPERATIONS.index(operation))
    return tuple(cell)


def index(cell: Cell) -> int:
    """Return the position of a cell in `architectures` (not the benchmark's own index)."""
    return functools.reduce(lambda total, operation: total * len(OPERATIONS) + operation, cell, 0)


def architectures() -> itertools.product[Cell]:
    """Enumerate all 15,625 cells; the last edge varies fastest."""
    return itertools.product(range(len(OPERATIONS)), repeat=len(EDGES))


@functools.cache
def strings() -> frozenset[str]:
    """Return the strings of all cells."""
    return frozenset(encode(cell) for cell in architectures())


def canonical(cell: Cell, *, zero: bool = True) -> str:
    """Return the benchmark's isomorphism string (its ``to_unique_str``).

    Skip connections are contracted and, with ``zero``, dead inputs become ``#``; a node that sums
    two dead inputs keeps both, as in the benchmark, so that exactly 6,466 strings remain
    (12,751 without ``zero``). Dong and Yang 2020, arXiv:2001.00326.
    """
    nodes, operations = ["0"], iter(cell)
    for target in (1, 2, 3):
        terms = []
        for source in range(target):
            operation = next(operations)
            if zero and (operation == NONE or nodes[source] == "#"):
                terms.append("#")
            elif operation == SKIP:
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{OPERATIONS[operation]}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


@functools.cache
def unique() -> tuple[Cell, ...]:
    """Return the first cell of each of the 6,466 isomorphism classes."""
    first: dict[str, Cell] = {}
    for cell in architectures():
        first.setdefault(canonical(cell), cell)
    return tuple(first.values())


def live(cell: Cell) -> tuple[bool, ...]:
    """Say for every edge whether it lies on a path of non-`none` edges from input to output."""
    forward = {0}
    for (source, target), operation in zip(EDGES, cell, strict=True):
        if operation != NONE and source in forward:
            forward.add(target)
    backward = {3}
    for (source, target), operation in reversed(list(zip(EDGES, cell, strict=True))):
        if operation != NONE and target in backward:
            backward.add(source)
    return tuple(
        operation != NONE and source in forward and target in backward
        for (source, target), operation in zip(EDGES, cell, strict=True)
    )


def connected(cell: Cell) -> bool:
    """Say whether any path of non-`none` edges leads from input to output (341 cells have none)."""
    return any(live(cell))


def parameters(cell: Cell) -> int:
    """Return 9·#conv3x3 + #conv1x1: the weights of the six edges in units of C²."""
    return 9 * cell.count(CONV3) + cell.count(CONV1)
