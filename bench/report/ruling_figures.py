"""The figures of the verdict page: criteria as intervals, and their readings along the search."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from bench.report import svg
from bench.report.ruling import Verdict


def forest(verdict: Verdict, name: str) -> str:
    """Draw every criterion in units of its smallest effect of interest, in the direction claimed."""
    figure = svg.figure(8.2, 0.9 + 0.55 * len(verdict.criteria))
    axes = figure.subplots()
    _draw(figure, verdict)
    axes.set_title("effect in units of the smallest effect of interest, as claimed →")
    return svg.to_svg(figure, name, f"criteria of: {verdict.explanation.claim}")


LIMIT = 6.0
"""Units beyond which the drawing is cut off, with an arrow."""


def _draw(figure: Figure, verdict: Verdict) -> None:
    (axes,) = figure.axes
    axes.axvspan(1, LIMIT + 0.3, color=svg.PALETTE[2], alpha=0.10, lw=0)
    axes.axvline(0, color=svg.FOREGROUND, lw=0.8, alpha=0.7)
    axes.axvline(1, color=svg.PALETTE[2], lw=1.0, ls=(0, (4, 2)))
    for row, judged in enumerate(verdict.criteria):
        c, effect = judged.criterion, judged.decision.effect
        unit = c.sign / c.smallest
        for seed_value in judged.differences.values():
            if math.isnan(seed_value):
                continue
            x = float(np.clip(seed_value * unit, -LIMIT, LIMIT))
            axes.plot(x, row + 0.22, ".", color=svg.FOREGROUND, alpha=0.4, ms=4)
        if math.isnan(effect.estimate):
            continue
        colour = {"confirmed": svg.PALETTE[2], "refuted": svg.PALETTE[1]}.get(
            judged.decision.kind, svg.PALETTE[0]
        )
        centre = float(np.clip(effect.estimate * unit, -LIMIT, LIMIT))
        axes.plot(centre, row, "D", color=colour, ms=6, zorder=3)
        if math.isfinite(effect.low):
            ends = sorted(np.clip([effect.low * unit, effect.high * unit], -LIMIT, LIMIT).tolist())
            axes.hlines(row, ends[0], ends[1], color=colour, lw=2)
    labels = [
        svg.shortened(f"{i + 1}. {j.criterion.quantity}", 40)
        for i, j in enumerate(verdict.criteria)
    ]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(-LIMIT - 0.3, LIMIT + 0.3)
    axes.grid(visible=False)


MOST = 3
"""Readings that are drawn along the search."""


def paths(verdict: Verdict, name: str) -> str:
    """Draw the readings of the criteria along the search, a line per seed, a panel per reading."""
    history = verdict.summary.history
    metrics = list(
        dict.fromkeys(
            name
            for j in verdict.criteria
            for name in (j.criterion.metric, j.criterion.beside)
            if name is not None and name in set(history["metric"])
        )
    )[:MOST]
    if not metrics:
        return ""
    labels = verdict.summary.labels
    colours = svg.colours(labels)
    figure = svg.figure(9.6, 2.7)
    panels = figure.subplots(1, MOST)  # always as many, so that all figures have one scale
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    for axes, reading in zip(panels, metrics, strict=False):
        for label in labels:
            rows = history[(history["label"] == label) & (history["metric"] == reading)]
            for _, run in rows.groupby("seed"):
                axes.plot(run["epoch"], run["value"], color=colours[label], lw=0.6, alpha=0.4)
            mean = rows.groupby("epoch")["value"].mean()
            axes.plot(mean.index, mean, color=colours[label], lw=2, label=label)
        axes.set_title(svg.shortened(reading, 34))
        axes.set_xlabel("epoch")
    panels[len(metrics) - 1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return svg.to_svg(figure, name, f"readings along the search: {', '.join(metrics)}")
