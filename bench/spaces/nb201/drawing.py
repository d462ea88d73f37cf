"""A cell as a small graph: nodes on a line, an arc per edge, coloured by operation."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from bench.contracts.space import Look

WIDTH, HEIGHT, RADIUS = 300, 170, 11
MIDDLE = 96


def parse(cell: str) -> list[tuple[int, int, str]] | None:
    """Read ``|op~0|+|op~0|op~1|`` as edges (from, to, operation); None where it is not."""
    edges = []
    try:
        for target, node in enumerate(cell.split("+"), start=1):
            for part in node.strip("|").split("|"):
                operation, _, source = part.partition("~")
                if not 0 <= int(source) < target or not operation:
                    return None
                edges.append((int(source), target, operation))
    except ValueError:
        return None
    return edges


def short(cell: str, look: Callable[[str], Look]) -> str:
    """Write a cell's string in a third of its length: the operations into each node."""
    nodes = [
        " ".join(look(part.partition("~")[0]).short for part in node.strip("|").split("|"))
        for node in cell.split("+")
    ]
    return "|".join(nodes)


def draw(cell: str, look: Callable[[str], Look]) -> str:
    """Return the SVG of a cell; the string itself where it is none."""
    edges = parse(cell)
    if edges is None:
        return f"<code>{escape(cell)}</code>"
    nodes = max(target for _, target, _ in edges) + 1
    step = (WIDTH - 4 * RADIUS) / (nodes - 1)
    x = [2 * RADIUS + step * i for i in range(nodes)]
    lines, labels = [], []
    for source, target, operation in edges:
        path, at = _arc(x[source], x[target], source, target)
        colour = look(operation).colour
        nothing = operation == "none"
        dash = ' stroke-dasharray="3 4" opacity=".55"' if nothing else ""
        width = 1.3 if nothing else 2.6
        lines.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'
        )
        name = escape(look(operation).short)
        faint = ' opacity=".75"' if nothing else ""
        labels.append(f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" fill="{colour}"{faint}>{name}</text>')
    circles = [
        f'<circle cx="{position:.0f}" cy="{MIDDLE}" r="{RADIUS}"/>'
        f'<text class="node" x="{position:.0f}" y="{MIDDLE + 4}">{name}</text>'
        for position, name in zip(x, ["in", *map(str, range(1, nodes - 1)), "out"], strict=True)
    ]
    return (
        f'<svg class="cell" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(cell)}"><title>{escape(cell)}</title>'
        f"{''.join(lines + circles + labels)}</svg>"
    )


def _arc(x0: float, x1: float, source: int, target: int) -> tuple[str, tuple[float, float]]:
    """Return the path of an edge and where its label goes.

    Neighbours are joined straight; longer edges bow up from even nodes and down from odd ones, the
    more the further they reach.
    """
    span = target - source
    if span == 1:
        return f"M{x0:.0f} {MIDDLE}L{x1:.0f} {MIDDLE}", ((x0 + x1) / 2, MIDDLE - 5)
    up = -1 if source % 2 == 0 else 1
    height = up * (48 if span == 2 else 78)
    bend = MIDDLE + height * 4 / 3
    shift = (x1 - x0) * 0.18
    left, right = f"{x0 + shift:.0f} {bend:.0f}", f"{x1 - shift:.0f} {bend:.0f}"
    path = f"M{x0:.0f} {MIDDLE}C{left} {right} {x1:.0f} {MIDDLE}"
    return path, ((x0 + x1) / 2, MIDDLE + height + (-4 if up < 0 else 12))
