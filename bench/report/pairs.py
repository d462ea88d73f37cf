"""What was read along a search beside the true accuracy of its cell: does a reading lead it?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.report import svg
from bench.report.summary import Summary
from bench.report.svg import Drawing

WORDS = ("hessian", "eigenvalue")
"""A reading with one of these in its name is drawn above the true accuracy of the same search."""
SPREAD = "_sd"
"""How readings end that say how uncertain another is; they are not drawn."""
MOST = 3
"""Readings that are drawn so, eigenvalues first; a whole spectrum would bury the page."""
TRUE = "true_accuracy"
GAP = ("gap_", "discretisation_")
"""How readings of the discretisation gap begin."""


def paired(summary: Summary) -> list[str]:
    """Return the readings to draw beside true accuracy; none where that was not read."""
    found = [str(name) for name in summary.history["metric"].unique()]
    names = [
        name
        for word in reversed(WORDS)
        for name in found
        if word in name and not name.endswith(SPREAD)
    ]
    return list(dict.fromkeys(names))[:MOST] if TRUE in found else []


def pairs(summary: Summary) -> Iterator[Drawing]:
    """Draw each such reading above true accuracy, a figure per variant, the stops marked."""
    for name in paired(summary):
        for i, label in enumerate(summary.labels):
            drawing = pair(summary, name, i, label)
            if drawing:
                yield drawing


def pair(summary: Summary, name: str, index: int, label: str) -> Drawing | None:
    """Draw one reading of one variant above its true accuracy; None where it was not read."""
    history = summary.history[summary.history["label"] == label]
    rows = {metric: history[history["metric"] == metric] for metric in (name, TRUE)}
    if any(frame.empty for frame in rows.values()):
        return None
    figure = svg.figure(4.4, 3.7)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, (metric, frame) in zip(panels, rows.items(), strict=True):
        _seeds(axes, frame)
        axes.set_ylabel("true accuracy (%)" if metric == TRUE else _words(metric))
        _stops(axes, summary, label, metric == name)
    panels[0].set_title(svg.shortened(label, 48))
    panels[1].set_xlabel("epoch")
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    title = f"{_words(name)} and true accuracy, {label}"
    return Drawing(f"pair-{name}-{index}", title, svg.to_svg(figure, f"pair-{name}-{index}", title))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _colour(seed: object) -> str:
    return svg.PALETTE[int(str(seed)) % len(svg.PALETTE)]


def _seeds(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw a line and a marker per seed, both the same above and below."""
    for k, (seed, run) in enumerate(frame.groupby("seed")):
        axes.plot(
            run["epoch"], run["value"], color=_colour(seed), lw=1.2,
            marker=svg.MARKERS[k % len(svg.MARKERS)], ms=3,
        )  # fmt: skip


def _stops(axes: Axes, summary: Summary, label: str, named: bool) -> None:
    """Mark the epoch whose cell counts where a search stopped itself, in the seed's colour."""
    if "stopped_epoch" not in summary.runs:
        return
    runs = summary.runs[(summary.runs["label"] == label) & (summary.runs["status"] == "ok")]
    for run in runs.dropna(subset=["stopped_epoch"]).itertuples():
        epoch = float(str(run.stopped_epoch))
        axes.axvline(epoch, color=_colour(run.seed), lw=1.4, ls=(0, (4, 2)), gid="stop")
        if named:
            axes.annotate(
                f"stop {epoch:.0f}", (epoch, 1.0), xycoords=axes.get_xaxis_transform(),
                ha="right", va="top", fontsize=8, rotation=90, color=_colour(run.seed),
            )  # fmt: skip


def gaps(summary: Summary) -> Iterator[Drawing]:
    """Draw the readings of the discretisation gap together, a figure per variant."""
    history = summary.history[summary.history["metric"].str.startswith(GAP)]
    for i, label in enumerate(summary.labels):
        mine = history[history["label"] == label]
        if mine.empty:
            continue
        names = [str(name) for name in mine["metric"].unique()]
        figure = svg.figure(4.8, 2.9)
        axes = figure.subplots()
        for k, name in enumerate(names):
            rows, colour = mine[mine["metric"] == name], svg.PALETTE[k % len(svg.PALETTE)]
            for _, run in rows.groupby("seed"):
                axes.plot(run["epoch"], run["value"], color=colour, lw=0.7, alpha=0.5)
            mean = rows.groupby("epoch")["value"].mean()
            axes.plot(
                mean.index, mean, color=colour, lw=2, marker=svg.MARKERS[k % len(svg.MARKERS)],
                ms=4, markevery=[len(mean) - 1], label=_without_prefix(name),
            )  # fmt: skip
        if np.diff(axes.get_ylim())[0] > 0:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_title(svg.shortened(label, 48))
        title = f"discretisation gap, {label}"
        yield Drawing(f"gap-{i}", title, svg.to_svg(figure, f"gap{i}", title))


def _without_prefix(name: str) -> str:
    for prefix in GAP:
        name = name.removeprefix(prefix)
    return _words(name)
