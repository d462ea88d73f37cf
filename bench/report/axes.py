"""A figure of the page on matplotlib's axes: for papers, as PDF, PNG, SVG or pgf."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contracts.registry import did_you_mean
from bench.report import forest, svg
from bench.report.curves import Chart, Panel, decode
from bench.report.figures import charts
from bench.report.summary import Summary

DIFFERENCES = "differences"
WIDTH, HEIGHT = 4.4, 2.9
"""Inches of one panel."""


def names(summary: Summary) -> dict[str, str]:
    """Return the figures of a folder: name → title."""
    found = {chart.name: chart.title for chart in _every(summary)}
    return {DIFFERENCES: "paired differences on the contrast", **found}


def draw(summary: Summary, name: str, axes: Axes | None = None) -> Figure:
    """Draw a figure by its name, or ``NAME:2`` for its second panel, and return what it is drawn on.

    Parameters
    ----------
    axes
        Where to draw, for a figure of one panel; None: on a figure of its own.

    Raises
    ------
    ValueError
        When there is no figure of that name, or it has more panels than the axes that are given.
    """
    name, _, which = name.partition(":")
    if name == DIFFERENCES:
        figure = svg.figure(4.3, 0.7 + 0.4 * len(summary.labels)) if axes is None else axes.figure
        forest.draw(summary, figure.subplots() if axes is None else axes)
        return _whole(figure)
    by_name = {chart.name: chart for chart in _every(summary)}
    if name not in by_name:
        hint = did_you_mean(name, [DIFFERENCES, *by_name])
        raise ValueError(f"{summary.root} has no figure {name!r}; {hint}")
    chart = by_name[name]
    panels = chart.panels
    if which:
        if not which.isdecimal() or not 1 <= int(which) <= len(panels):
            raise ValueError(f"{name}:{which}: {name} has the panels 1 to {len(panels)}")
        panels = [panels[int(which) - 1]]
    if axes is not None:
        if len(panels) > 1:
            raise ValueError(f"{name}: has {len(panels)} panels; say which, as {name}:1")
        panel(panels[0], axes, summary.labels)
        return _whole(axes.figure)
    columns = min(len(panels), max(1, chart.columns))
    rows = math.ceil(len(panels) / columns)
    figure = svg.figure(WIDTH * columns, HEIGHT * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for own, place in zip(panels, grid, strict=False):
        panel(own, place, summary.labels)
    for place in grid[len(panels) :]:
        place.set_axis_off()
    return figure


def panel(made: Panel, axes: Axes, labels: list[str]) -> None:
    """Draw the curves or points of one panel."""
    for line in made.lines:
        if "px" in line:
            x = decode(line["px"], made.x_low, made.x_high)
            axes.plot(x, decode(line["py"], made.low, made.high), "o", color=line["c"], ms=2.5)
            continue
        _curve(line, made, axes, labels)
    for level in made.levels:
        if "y" in level:
            height = made.low + (made.high - made.low) * float(level["y"])
            axes.axhline(height, color=svg.FOREGROUND, lw=0.8, ls=":")
    for mark in made.marks:
        height = made.low + (made.high - made.low) * float(mark["y"])
        axes.plot(mark["x"], height, mark["k"], color=svg.FOREGROUND, ms=5)
    if made.low < made.high:
        axes.set_ylim(made.low, made.high)
    axes.set(title=made.title, xlabel=made.x_label, ylabel=made.y_label)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()


def _curve(line: dict[str, Any], made: Panel, axes: Axes, labels: list[str]) -> None:
    look: dict[str, Any] = {"color": line["c"], "ls": "--" if line.get("d") else "-"}
    alpha = 0.45 if line.get("f") else 1.0
    name = line.get("n") or (labels[line["v"]] if line.get("v", len(labels)) < len(labels) else "")
    if "b" in line and len(line["b"]) == 2:
        low, high = (decode(text, made.low, made.high) for text in line["b"])
        axes.fill_between(made.x, low, high, color=line["c"], alpha=0.2 * alpha, lw=0)
    for text in line.get("s", []):
        axes.plot(made.x, decode(text, made.low, made.high), lw=0.7, alpha=0.35 * alpha, **look)
    if "y" in line:
        y = decode(line["y"], made.low, made.high)
        axes.plot(made.x, y, lw=1.6, alpha=alpha, label=name or None, **look)


def _every(summary: Summary) -> list[Chart]:
    return [chart for found in charts(summary).values() for chart in found]


def _whole(figure: Any) -> Figure:
    """Return the figure that axes are on, also where that is a part of another."""
    while not isinstance(figure, Figure):
        figure = figure.figure
    return figure
