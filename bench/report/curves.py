"""The curves of a page, as numbers: its script draws a figure when it comes into view.

A thousand runs have millions of readings. Epochs are thinned to what a figure can show, and from `MANY`
lines on a variant is its mean with a band from the first to the third quartile of its seeds. A number
is two characters, its place between the least and the largest of its panel.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.names import LABEL

DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
LEVELS = len(DIGITS) ** 2 - 1
MISSING = ".."
POINTS, FEWER_POINTS = 60, 30
"""Epochs that are drawn, and where there are many lines."""
MANY = 120
"""Lines of a panel from which on variants are drawn as a mean and a band."""
BANDS = 8
"""Variants up to which such bands are drawn in one panel: more would hide each other."""
LONE = 200
"""Runs from which on figures that each variant has show its mean alone."""
Floats = NDArray[np.float64]
Seeds = Mapping[int, tuple[Floats, Floats]]
"""Seed → epochs and values."""
Readings = Mapping[str, Mapping[str, Seeds]]
"""Variant → reading → what its seeds gave."""


@dataclass
class Panel:
    """One pair of axes: curves over epochs, or points.

    Attributes
    ----------
    x
        The epochs drawn [P]; of points, nothing.
    lines
        What `panel` and `points` made; ``marks`` and ``levels`` stand beside them.
    variant
        The number of the only variant that it shows, by which the page hides it; None: of all.
    view
        The least and the largest x of the axes where that is more than its own epochs.
    """

    title: str = ""
    x: list[float] = field(default_factory=list)
    y_label: str = ""
    x_label: str = "epoch"
    scale: str = ""
    low: float = 0.0
    high: float = 1.0
    x_low: float = 0.0
    x_high: float = 1.0
    lines: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    levels: list[dict[str, Any]] = field(default_factory=list)
    variant: int | None = None
    view: tuple[float, float] | None = None

    def rescale(self, low: float, high: float) -> None:
        """Give it other bounds; what was placed between the old ones is moved."""
        if (low, high) == (self.low, self.high):
            return
        scale = (self.high - self.low) / (high - low)
        for mark in self.marks:
            if "y" in mark:
                mark["y"] = round((self.low - low) / (high - low) + mark["y"] * scale, 4)
        for line in self.lines:
            line.setdefault("in", [self.low, self.high])
        self.low, self.high = low, high

    def plain(self) -> dict[str, Any]:
        """Return it as the page's script reads it."""
        written = {
            "title": self.title,
            "x": self.x,
            "yLabel": self.y_label,
            "xLabel": self.x_label,
            "scale": self.scale,
            "low": self.low,
            "high": self.high,
            "lines": self.lines,
            "xLow": self.x_low,
            "xHigh": self.x_high,
            "marks": self.marks,
            "levels": self.levels,
            "v": self.variant,
            "view": self.view,
        }
        return {k: v for k, v in written.items() if v not in ("", [], None) or k == "x"}


@dataclass
class Chart:
    """A figure: a name that files and ids may bear, a title, and its panels.

    Attributes
    ----------
    variant
        The number of the only variant that it shows; None: of all.
    kind
        How the page's script lays it out: ``""`` one below the other or in ``columns``;
        ``multiples``: small panels with axes in common, as many side by side as fit; ``forest``.
    """

    name: str
    title: str
    panels: list[Panel]
    variant: int | None = None
    columns: int = 1
    kind: str = ""

    def __post_init__(self) -> None:
        if not LABEL.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a figure")

    def plain(self) -> dict[str, Any]:
        """Return it as the page's script reads it."""
        return {
            "name": self.name,
            "title": self.title,
            "columns": self.columns,
            "kind": self.kind,
            "panels": [panel.plain() for panel in self.panels],
        }


@dataclass
class Curve:
    """One or many seeds of one thing along the epochs.

    Attributes
    ----------
    runs
        Per seed, epochs and values of the same length.
    variant
        The number of the variant, by which the page hides it; None: it stays.
    strong
        False: fainter than others, which the question is about.
    """

    colour: str
    runs: list[tuple[Floats, Floats]]
    variant: int | None = None
    dashed: bool = False
    strong: bool = True
    name: str = ""
    end: str = ""


def thinned(epochs: Iterable[float], most: int) -> Floats:
    """Return at most so many of the epochs, evenly, the first and the last among them."""
    all_of_them = np.unique(np.fromiter(epochs, dtype=float))
    if len(all_of_them) <= most:
        return all_of_them
    places = np.linspace(0, len(all_of_them) - 1, most).round().astype(int)
    chosen: Floats = all_of_them[np.unique(places)]
    return chosen


def panel(
    curves: Sequence[Curve], *, separate: bool = False, banded: bool = False, **named: Any
) -> Panel:
    """Return the panel of some curves, aggregated where there are many lines.

    Parameters
    ----------
    separate
        Draw seeds alone, without their mean.
    banded
        Draw a mean and a band however few they are.
    """
    lines = sum(len(curve.runs) for curve in curves)
    many = banded or lines > MANY
    found = [epochs for curve in curves for epochs, _ in curve.runs]
    epochs = np.unique(np.concatenate(found)) if found else np.zeros(0)
    grid = thinned(epochs, FEWER_POINTS if many else POINTS)
    drawn: list[tuple[Curve, Floats, Floats, list[Floats]]] = []
    for curve in curves:
        table = np.full((len(curve.runs), len(grid)), np.nan)
        for k, (at, given) in enumerate(curve.runs):
            places = np.searchsorted(grid, at)
            here = (places < len(grid)) & (grid[np.minimum(places, len(grid) - 1)] == at)
            table[k, places[here]] = given[here]
        table[~np.isfinite(table)] = np.nan
        mean, band = _middle(table)
        shown = [] if many and len(curves) > BANDS else band if many else list(table)
        drawn.append((curve, table, mean, shown))
    values = [a for _, _, mean, shown in drawn for a in (mean, *shown)] or [np.zeros(1)]
    low, high = limits(np.concatenate(values))
    made = Panel(x=[_short(x) for x in grid], low=low, high=high, **named)
    for curve, _, mean, shown in drawn:
        line: dict[str, Any] = {"c": curve.colour}
        if curve.variant is not None:
            line["v"] = curve.variant
        if curve.dashed:
            line["d"] = 1
        if not curve.strong:
            line["f"] = 1
        if shown:
            line["b" if many else "s"] = [encode(row, low, high) for row in shown]
        if not separate or many:
            line["y"] = encode(mean, low, high)
        if curve.name:
            line["n"] = curve.name
        if curve.end:
            line["m"] = curve.end
        made.lines.append(line)
    return made


def _middle(table: Floats) -> tuple[Floats, list[Floats]]:
    """Return the mean over seeds still running, and the first and third quartile."""
    there = ~np.isnan(table).all(axis=0)
    mean, low, high = (np.full(table.shape[1], np.nan) for _ in range(3))
    if there.any():
        mean[there] = np.nanmean(table[:, there], axis=0)
        whole = ~np.isnan(table).any(axis=0)  # of the others it takes long, column by column
        for columns, quantile in ((whole, np.quantile), (there & ~whole, np.nanquantile)):
            if columns.any():
                low[columns], high[columns] = quantile(table[:, columns], [0.25, 0.75], axis=0)
    return mean, [low, high]


def points(groups: Sequence[tuple[Floats, Floats]], colour: str, most: int, **named: Any) -> Panel:
    """Return a panel of points, a shape per group; at most so many in all, evenly chosen."""
    total = sum(len(x) for x, _ in groups)
    step = max(1, -(-total // most))
    kept = [(x[::step], y[::step]) for x, y in groups]
    x_low, x_high = limits(np.concatenate([x for x, _ in kept]))
    low, high = limits(np.concatenate([y for _, y in kept]))
    made = Panel(low=low, high=high, x_low=x_low, x_high=x_high, **named)
    made.lines = [
        {"c": colour, "px": encode(x, x_low, x_high), "py": encode(y, low, high)} for x, y in kept
    ]
    return made


def limits(values: Floats) -> tuple[float, float]:
    """Return the bounds of finite values, a twentieth wider; never equal."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    spread = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - spread, high + spread
    return (low, high) if np.isfinite(low) and np.isfinite(high) else (-1e308, 1e308)


def encode(values: Floats, low: float, high: float) -> str:
    """Write each value in two characters; what is missing is two dots."""
    share = (values / 2 - low / 2) / (high / 2 - low / 2)  # halves: their difference is finite
    level = np.where(np.isfinite(share), np.clip(np.rint(share * LEVELS), 0, LEVELS), -1)
    base = len(DIGITS)
    return "".join(
        MISSING if n < 0 else DIGITS[n // base] + DIGITS[n % base]
        for n in level.astype(int).tolist()
    )


def decode(text: str, low: float, high: float) -> Floats:
    """Return the values that `encode` wrote, to 1 in 4,095 of the range."""
    base, found = len(DIGITS), []
    for i in range(0, len(text), 2):
        pair = text[i : i + 2]
        level = DIGITS.index(pair[0]) * base + DIGITS.index(pair[1]) if pair != MISSING else np.nan
        found.append(low + (high - low) * level / LEVELS)
    return np.array(found)


def placed(value: float, low: float, high: float) -> float:
    """Return where a value lies between the bounds, from 0 to 1."""
    return round(min(1.0, max(0.0, (value - low) / (high - low))), 4)


def _short(x: float) -> float:
    return int(x) if float(x).is_integer() else float(x)


def series(results: Iterable[dict[str, Any]]) -> dict[str, dict[int, tuple[Floats, Floats]]]:
    """Return reading → seed → epochs and values, of one variant's runs; numbers alone."""
    found: dict[str, dict[int, tuple[list[float], list[float]]]] = {}
    for result in results:
        for entry in result.get("history", []):
            epoch = entry.get("epoch")
            for name, value in entry.items():
                if name != "epoch" and isinstance(value, int | float):
                    at, values = found.setdefault(name, {}).setdefault(result["seed"], ([], []))
                    at.append(float(epoch))
                    values.append(float(value))
    return {
        name: {seed: (np.array(at), np.array(values)) for seed, (at, values) in by_seed.items()}
        for name, by_seed in found.items()
    }


def few(by_seed: Seeds, total: int) -> list[tuple[Floats, Floats]]:
    """Return the seeds' curves; where runs are many in all, their mean in the place of all."""
    runs = list(by_seed.values())
    if total <= LONE or not runs or len({len(x) for x, _ in runs}) > 1:
        return runs
    with np.errstate(all="ignore"):
        return [(runs[0][0], np.mean([y for _, y in runs], axis=0))]
