"""Matplotlib figures as small inline SVG that takes its foreground from the page."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

FOREGROUND = "#010203"
"""Drawn for text and axes, then replaced by ``currentColor``: one figure for light and dark."""

PALETTE = ("#0f83c9", "#d9630a", "#0a9a70", "#c25fa0", "#8a7fd6", "#a8890c", "#4fa8d8", "#7d8590")
"""Okabe and Ito's colours, moved to a lightness that is legible on white and on black."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""With the colour, so that nothing is told by colour alone."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "bench", "text.parse_math": False,
    "font.family": "sans-serif", "font.size": 9.5, "axes.titlesize": 9.5, "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "legend.fontsize": 8.5, "legend.frameon": False,
    "text.color": FOREGROUND, "axes.labelcolor": FOREGROUND, "axes.edgecolor": FOREGROUND,
    "xtick.color": FOREGROUND, "ytick.color": FOREGROUND, "axes.titlecolor": FOREGROUND,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": FOREGROUND, "grid.alpha": 0.13,
    "grid.linewidth": 0.6, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "figure.facecolor": "none", "axes.facecolor": "none", "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "lines.solid_capstyle": "round", "savefig.facecolor": "none",
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    name: str
    title: str
    image: str


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Return the colour of each variant, the same in every figure."""
    return {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}


def markers(labels: Sequence[str]) -> dict[str, str]:
    """Return the marker of each variant; with the colour no two of 64 are the same."""
    n = len(MARKERS)
    return {label: MARKERS[(i + i // n) % n] for i, label in enumerate(labels)}


def figure(width: float = 4.4, height: float = 2.9) -> Figure:
    """Return an empty figure; `Figure` itself, so that no global state of pyplot is touched."""
    return Figure(figsize=(width, height), layout="constrained")


def shortened(label: str, length: int = 28) -> str:
    """Return a label that leaves room for the figure; the page has the whole of it elsewhere."""
    return label if len(label) <= length else f"{label[: length - 1]}…"


def layer(index: int) -> str:
    """Return the gid of an artist that belongs to a variant, by which the page can hide it."""
    return f"variant{index}."


def to_svg(figure: Figure, name: str, title: str) -> str:
    """Render a figure for inlining.

    Ids are made unique with ``name``, groups of a variant get the class ``v<index>``, and the
    foreground becomes ``currentColor``. ``title`` is read out by screen readers.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="variant(\d+)\.[^"]*">', r'<g class="v\1">', text)
    text = re.sub(r'(\bid=")', rf"\g<1>{name}-", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: (?:\w+ )?([\d.]+px) [^;\"]+", r"font-size: \1", text)
    text = text.replace(FOREGROUND, "currentColor")
    text = re.sub(r"\n\s*", "\n", text)
    text = re.sub(r"<[^>]+>", _rounded, text)
    text = re.sub(r'(?<= d=")[MLz\d.\s-]+(?=")', _relative, text)
    text = _without_idle_ids(text)
    text = _shared_styles(text, name)
    text = re.sub(r"<g>\s*(<(?:path|use)[^>]*/>)\s*</g>", r"\1", text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    assert box is not None
    attributes = (
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]}'
    )
    return f'<svg {attributes} role="img" aria-label="{_attribute(title)}">{body}'


def _rounded(tag: re.Match[str]) -> str:
    """Cut coordinates to hundredths of a point; text between tags is left alone."""
    return re.sub(r"(?<![\w#.])-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", tag[0])


def _relative(lines: re.Match[str]) -> str:
    """Write a path of straight lines as steps of tenths of a point: half the length, same looks."""
    steps: list[str] = []
    last = (0, 0)
    for command, x, y in re.findall(r"([MLz])\s*(-?[\d.]+)?\s*(-?[\d.]+)?", lines[0]):
        if command == "z":
            steps.append("z")
            continue
        point = (round(10 * float(x)), round(10 * float(y)))
        if command == "M":
            steps.append(f"M{point[0] / 10:g} {point[1] / 10:g}l")
        else:
            steps.append(f"{(point[0] - last[0]) / 10:g} {(point[1] - last[1]) / 10:g}")
        last = point
    return " ".join(steps)


def _without_idle_ids(text: str) -> str:
    """Leave out matplotlib's own numbered ids where nothing refers to them."""
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", text))
    return re.sub(r' id="([^"]+_\d+)"', lambda m: m[0] if m[1] in used else "", text)


def _shared_styles(text: str, name: str) -> str:
    """Say once what many lines look like: a class, whose name no other figure has."""
    styles = Counter(re.findall(r' style="([^"]+)"', text))
    often = [style for style, count in styles.most_common() if count > 2]
    for i, style in enumerate(often):
        text = text.replace(f' style="{style}"', f' class="{name}-{i}"')
    rules = "".join(f".{name}-{i}{{{style}}}" for i, style in enumerate(often))
    return text.replace("</style>", f"{rules}</style>", 1)


def _attribute(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def style() -> AbstractContextManager[None]:
    """Return the context in which the page's figures are drawn."""
    return mpl.rc_context(STYLE)
