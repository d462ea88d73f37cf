"""Genotypes of the DARTS space: edges, the original code's notation, isomorphism. No torch here.

A cell has two inputs (nodes 0 and 1) and ``nodes`` intermediate ones; every intermediate node is
joined to all nodes before it, and a genotype keeps two of these edges. An architecture is the
operation's index for every edge, normal cell first, and `ABSENT` where an edge is not kept.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any

from bench.spaces.darts.tables import PUBLISHED
from bench.written import one_line

OPERATIONS = (
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
"""In the original code's own order."""
NOISE = "noise"
"""RobustDARTS's S4: N(0, 1) in place of whatever comes in."""
WEIGHT_FREE = frozenset({"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", NOISE})
ABSENT = -1
"""Stands in an architecture for an edge that the discretised cell does not have."""
KEPT = 2
"""Edges that every node keeps."""
LONGEST = 4000
"""Characters of a genotype; published ones have 500."""

Architecture = tuple[int, ...]


@functools.cache
def edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """Return (from, to) of one cell's edges in the order of the original code's alpha."""
    return tuple((source, target) for target in range(2, nodes + 2) for source in range(target))


@functools.cache
def entering(nodes: int) -> tuple[range, ...]:
    """Return for every intermediate node the positions of its edges within `edges`."""
    starts = itertools.accumulate(range(2, nodes + 2), initial=0)
    return tuple(range(a, b) for a, b in itertools.pairwise(starts))


def check(architecture: Architecture, operations: Sequence[str], nodes: int) -> None:
    """Raise ValueError where this is not an architecture of the space."""
    count = len(edges(nodes))
    if len(architecture) != 2 * count:
        raise ValueError(f"an architecture has {2 * count} edges, not {len(architecture)}")
    for start in (0, count):
        for node, rows in enumerate(entering(nodes), start=2):
            kept = [o for row in rows if (o := architecture[start + row]) != ABSENT]
            if len(kept) != KEPT:
                raise ValueError(f"node {node} keeps {KEPT} edges, not {len(kept)}")
            for operation in kept:
                if not 0 <= operation < len(operations) or operations[operation] == "none":
                    raise ValueError(f"node {node}: no operation of a genotype: {operation}")


def encode(architecture: Architecture, operations: Sequence[str], nodes: int) -> str:
    """Write an architecture as the original code prints it, inputs of a node in their order."""
    check(architecture, operations, nodes)
    count, concat = len(edges(nodes)), f"range(2, {nodes + 2})"
    parts = []
    for start in (0, count):
        rows = zip(architecture[start : start + count], edges(nodes), strict=True)
        genes = [(operations[o], source) for o, (source, _) in rows if o != ABSENT]
        parts.append("[" + ", ".join(f"('{name}', {source})" for name, source in genes) + "]")
    return (
        f"Genotype(normal={parts[0]}, normal_concat={concat}, "
        f"reduce={parts[1]}, reduce_concat={concat})"
    )


def decode(text: str, operations: Sequence[str], nodes: int) -> Architecture:
    """Read a genotype, or the name of a published one; nothing of the text is executed.

    Raises
    ------
    ValueError
        When it is not a genotype of this space; says what is wrong.
    """
    if text.isidentifier() and text not in PUBLISHED:
        raise ValueError(f"no published genotype {text!r}; known: {', '.join(PUBLISHED)}")
    given = fields(PUBLISHED.get(text.strip(), text))
    found: list[int] = []
    for part in ("normal", "reduce"):
        concat = given[f"{part}_concat"]
        if sorted(concat) != list(range(2, nodes + 2)):
            raise ValueError(f"{part}_concat: every node 2 to {nodes + 1} must be joined: {concat}")
        found += _rows(part, given[part], operations, nodes)
    return tuple(found)


def _rows(part: str, genes: list[Any], operations: Sequence[str], nodes: int) -> list[int]:
    """Return one cell's row of the architecture."""
    if len(genes) != KEPT * nodes:
        raise ValueError(f"{part}: needs {KEPT * nodes} operations, has {len(genes)}")
    rows = [ABSENT] * len(edges(nodes))
    for i, (name, source) in enumerate(genes):
        node = 2 + i // KEPT
        if name not in operations or name == "none":
            known = ", ".join(o for o in operations if o != "none")
            raise ValueError(f"{part}: unknown operation {name!r}; known: {known}")
        if not 0 <= source < node:
            raise ValueError(f"{part}: node {node} cannot read node {source}")
        row = entering(nodes)[node - 2][source]
        if rows[row] != ABSENT:
            raise ValueError(f"{part}: node {node} reads node {source} twice")
        rows[row] = operations.index(name)
    return rows


def fields(text: str) -> dict[str, list[Any]]:
    """Take ``Genotype(normal=[...], normal_concat=..., ...)`` apart by its syntax tree.

    Raises
    ------
    ValueError
        When it is not of that form; the operations are not looked at.
    """
    wanted = ("normal", "normal_concat", "reduce", "reduce_concat")
    shown = one_line(text, 60)
    if len(text) > LONGEST:
        raise ValueError(f"not a genotype: {len(text)} characters")
    # As it is pasted from a log or a file: `DARTS_V3 = Genotype(…)`, or `genotype = Genotype(…)`.
    own = re.sub(r"^\s*[A-Za-z_]\w*\s*[=:]\s*(?=Genotype\b)", "", text)
    try:
        call = ast.parse(own.strip().rstrip(",;"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"not a genotype, nor the name of a published one: {shown!r}") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise ValueError(f"not of the form Genotype(normal=[...], ...): {shown!r}")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if call.func.id != "Genotype" or sorted(map(str, given)) != sorted(wanted):
        raise ValueError(f"a Genotype has {', '.join(wanted)}: {shown!r}")
    found: dict[str, list[Any]] = {}
    for name, node in given.items():
        value = _literal(node)
        found[str(name)] = value
        item = "whole numbers" if str(name).endswith("concat") else "(operation, node)"
        if not all(_is_item(entry, pair=item != "whole numbers") for entry in value):
            raise ValueError(f"{name}: expected a list of {item}")
    return found


def _literal(node: ast.expr) -> list[Any]:
    """Return a list that is written out, or ``range(a, b)``."""
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            ends = [ast.literal_eval(argument) for argument in node.args]
            small = all(type(end) is int and 0 <= end < 100 for end in ends)
            if node.func.id == "range" and not node.keywords and len(ends) == 2 and small:
                return list(range(*ends))
        elif isinstance(value := ast.literal_eval(node), list | tuple):
            return list(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        pass
    raise ValueError(f"not a list: {ast.unparse(node)[:60]!r}")


def _is_item(entry: object, pair: bool) -> bool:
    if not pair:
        return type(entry) is int
    return (
        isinstance(entry, tuple)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and type(entry[1]) is int
    )


def canonical(architecture: Architecture, nodes: int) -> Architecture:
    """Return the least architecture among those that differ in the order of the nodes alone.

    A cell's output joins all its nodes, so that a permutation of nodes permutes channels, which the
    weights that read them can undo: such cells are the same function.
    """
    count = len(edges(nodes))
    return _least(architecture[:count], nodes) + _least(architecture[count:], nodes)


def _least(cell: Architecture, nodes: int) -> Architecture:
    where = {edge: row for row, edge in enumerate(edges(nodes))}
    kept = [(edge, o) for edge, o in zip(edges(nodes), cell, strict=True) if o != ABSENT]
    found = []
    for order in itertools.permutations(range(2, nodes + 2)):
        place = {0: 0, 1: 1} | {node: new for new, node in enumerate(order, start=2)}
        moved = {(place[a], place[b]): o for (a, b), o in kept}
        if all(a < b for a, b in moved):
            rows = [ABSENT] * len(where)
            for edge, o in moved.items():
                rows[where[edge]] = o
            found.append(tuple(rows))
    return min(found)


def reached(architecture: Architecture, operations: Sequence[str], nodes: int) -> bool:
    """Say whether in both cells some node is reached from an input by other than noise."""
    count = len(edges(nodes))
    for start in (0, count):
        alive = {0, 1}
        for (source, target), o in zip(edges(nodes), architecture[start:], strict=False):
            if o != ABSENT and operations[o] not in (NOISE, "none") and source in alive:
                alive.add(target)
        if alive == {0, 1}:
            return False
    return True


def strongest(strength: Sequence[Sequence[float]], forbidden: int | None, nodes: int) -> list[int]:
    """Discretise one cell as the original code does.

    Parameters
    ----------
    strength
        Of every operation of every edge [E, O]; −inf for those that do not compete.
    forbidden
        Index of `none`, which is never chosen.

    Returns
    -------
    list of int
        Every edge's operation, `ABSENT` on all but each node's two strongest edges. An edge is as
        strong as its strongest operation; the first of equals wins.
    """
    rows = [ABSENT] * len(strength)
    best = []
    for row in strength:
        allowed = [o for o in range(len(row)) if o != forbidden]
        best.append(max(allowed, key=row.__getitem__))
    for inputs in entering(nodes):
        order = sorted(inputs, key=lambda e: -strength[e][best[e]])
        for edge in order[:KEPT]:
            rows[edge] = best[edge]
    return rows
