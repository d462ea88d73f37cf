"""A derived genotype as two small graphs: the normal cell above the reduction cell."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from bench.contracts.space import Look
from bench.spaces.darts.genotypes import fields

WIDTH, HEIGHT, RADIUS = 300, 215, 11
MIDDLE = 120
INPUTS = ("−2", "−1")
"""The two layers before, counted back from this one."""

Genes = list[tuple[str, int]]


def parse(cell: str) -> dict[str, Genes] | None:
    """Read ``Genotype(normal=[...], ...)`` as (operation, input) by cell; None where it is not."""
    if not cell.startswith("Genotype("):
        return None
    try:
        found = fields(cell)
    except ValueError:
        return None
    cells: dict[str, Genes] = {"normal": found["normal"], "reduce": found["reduce"]}
    sound = all(
        genes and all(0 <= source < 2 + i // 2 for i, (_, source) in enumerate(genes))
        for genes in cells.values()
    )
    return cells if sound else None


def short(cells: dict[str, Genes], look: Callable[[str], Look]) -> str:
    """Write a genotype in a third of its length: the inputs of every node, cell by cell."""
    parts = []
    for name, genes in cells.items():
        texts = [f"{look(operation).short}~{source}" for operation, source in genes]
        nodes = (" ".join(texts[i : i + 2]) for i in range(0, len(texts), 2))
        parts.append(f"{name} {'|'.join(nodes)}")
    return "; ".join(parts)


def draw(cell: str, cells: dict[str, Genes], look: Callable[[str], Look]) -> str:
    """Return the SVG of a genotype; the output of a cell joins its numbered nodes."""
    body = "".join(
        f'<g transform="translate(0 {i * HEIGHT})">{_cell(name, genes, look)}</g>'
        for i, (name, genes) in enumerate(cells.items())
    )
    title = escape(cell)
    return (
        f'<svg class="cell" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {WIDTH} {HEIGHT * len(cells)}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{body}</svg>"
    )


def _cell(name: str, genes: Genes, look: Callable[[str], Look]) -> str:
    """Draw one cell: nodes on a line, a node's first input from above, its second from below."""
    nodes = 2 + len(genes) // 2
    step = (WIDTH - 4 * RADIUS) / (nodes - 1)
    x = [2 * RADIUS + step * i for i in range(nodes)]
    lines, labels = [], []
    for i, (operation, source) in enumerate(genes):
        target, up = 2 + i // 2, i % 2 == 0
        span = (target - source) / (nodes - 1)
        height = (-1 if up else 1) * (14 + 78 * span)
        bend, shift = MIDDLE + height * 4 / 3, (x[target] - x[source]) * 0.18
        lines.append(
            f'<path d="M{x[source]:.0f} {MIDDLE}C{x[source] + shift:.0f} {bend:.0f} '
            f'{x[target] - shift:.0f} {bend:.0f} {x[target]:.0f} {MIDDLE}" fill="none" '
            f'stroke="{look(operation).colour}" stroke-width="2.4"/>'
        )
        at = (x[source] + x[target]) / 2, MIDDLE + height + (-3 if up else 11)
        labels.append(
            f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" fill="{look(operation).colour}">'
            f"{escape(look(operation).short)}</text>"
        )
    names = [*INPUTS, *map(str, range(1, nodes - 1))]
    circles = [
        f'<circle cx="{position:.0f}" cy="{MIDDLE}" r="{RADIUS}"/>'
        f'<text class="node" x="{position:.0f}" y="{MIDDLE + 4}">{text}</text>'
        for position, text in zip(x, names, strict=True)
    ]
    heading = f'<text class="node" x="{WIDTH / 2:.0f}" y="12">{escape(name)}</text>'
    return "".join([*lines, *circles, *labels, heading])
