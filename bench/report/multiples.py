"""Many variants: a small panel for each, all with the same axes, in the place of one tangle."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import svg
from bench.report.curves import Chart, Curve, Panel, Readings, panel
from bench.report.forest import compared
from bench.report.summary import Summary

FEW_ARMS = 8
"""Variants up to which a figure shows all of them at once."""
TITLE = 30
"""Characters of a small panel's title."""
SEEDS = 3
"""Seeds of a variant up to which each is drawn; of more, their mean and the middle half."""


def alike(panels: Sequence[Panel]) -> None:
    """Give all panels one scale, so that they can be compared."""
    if panels:
        low, high = min(p.low for p in panels), max(p.high for p in panels)
        for part in panels:
            part.rescale(low, high)


def order(summary: Summary) -> list[str]:
    """Return the variants as the first figure has them: the contrast's other one, then by effect."""
    sorted_ones = compared(summary)
    return [label for label in summary.labels if label not in sorted_ones] + sorted_ones


def each_beside(summary: Summary, found: Readings, name: str) -> list[Panel]:
    """Return a panel per variant that has a reading: its seeds, and the mean of the baseline."""
    colours, against = svg.colours(summary.labels), summary.manifest["contrast"]["against"]
    baseline = list(found.get(against, {}).get(name, {}).values())
    panels = []
    for label in order(summary):
        runs = list(found[label].get(name, {}).values())
        if not runs:
            continue
        i = summary.labels.index(label)
        curves = [Curve(colours[label], runs, name=label)]
        if label != against and baseline:
            curves.insert(0, Curve("currentColor", baseline, name=against, strong=False))
        made = panel(curves, banded=len(runs) > SEEDS)
        if len(curves) > 1:  # the baseline is there to compare with: its mean alone
            made.lines[0] = {k: v for k, v in made.lines[0].items() if k not in ("b", "s")}
        made.title, made.variant = svg.shortened(label, TITLE), i
        panels.append(made)
    return panels


def multiples(name: str, title: str, panels: list[Panel]) -> Chart:
    """Return small panels as one figure, with the same axes for all."""
    alike(panels)
    ends = [x for part in panels for x in _ends(part)]
    for part in panels:
        part.view = (min(ends), max(ends)) if ends else None
        for level in part.levels:
            level.pop("text", None)  # no room, and the same for all
    return Chart(name, title, panels, kind="multiples")


def _ends(part: Panel) -> list[float]:
    if any("px" in line for line in part.lines):
        return [part.x_low, part.x_high]
    return [part.x[0], part.x[-1]] if part.x else []


def gathered(summary: Summary, name: str, title: str, charts: Sequence[Chart]) -> list[Chart]:
    """Return figures of one variant each as one figure; none where there are none."""
    panels, place = [], [summary.labels.index(label) for label in order(summary)]
    for chart in sorted(charts, key=lambda chart: place.index(chart.variant or 0)):
        for part in chart.panels:
            part.variant = chart.variant
            first, *rest = part.title.split("\n")
            second = [line.split(" · ")[0] for line in rest]
            part.title = "\n".join([svg.shortened(first, TITLE), *second])
            part.y_label = ""
            panels.append(part)
    return [multiples(name, title, panels)] if panels else []
