"""The page over commits: quality with its bank, speed beside it, every entry with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from bench.files import write_atomically
from bench.gate.searches import METRICS
from bench.report import svg
from bench.report.page import environment

Line = dict[str, Any]
MARKERS = {"green": "o", "changed": "^", "regressed": "X"}
COLOURS = {"green": svg.PALETTE[0], "changed": svg.PALETTE[5], "regressed": "#d1242f"}
MOST = 200
"""Entries on the page: the newest."""


def write_trend(lines: Sequence[Line], path: Path) -> Path:
    """Write the page of a history (`bench.gate.baseline.history`)."""
    lines = list(lines)[-MOST:]
    with svg.style():
        quality = [
            (f"trend-{name}", Markup(_quality(lines, name)))
            for name in METRICS
            if any(_values(line, name) for line in lines)
        ]
        names = dict.fromkeys(name for line in lines for name in line.get("speed") or {})
        speed = [(f"speed-{i}", Markup(_speed(lines, name, i))) for i, name in enumerate(names)]
    text = (
        environment()
        .get_template("trend.html")
        .render(quality=quality, speed=speed, lines=[_row(line) for line in lines])
    )
    write_atomically(path, text.encode())
    return path


def _row(line: Line) -> dict[str, str]:
    accepted = line["kind"] == "baseline"
    seeds = ", ".join(map(str, line.get("seeds") or []))
    return {
        "date": str(line["date"])[:16].replace("T", " "),
        "commit": str(line.get("commit", "")),
        "kind": str(line.get("verdict", "")),
        "outcome": "baseline accepted" if accepted else str(line.get("verdict", "")),
        "why": str(line.get("reason", "")) if accepted else f"seeds {seeds}" if seeds else "quick",
    }


def _values(line: Line, name: str) -> list[float]:
    """Return the values of a metric; a diverged search (null) is NaN."""
    found = line["metrics"].get(name) or []
    return [float(v) if isinstance(v, int | float) else math.nan for v in found]


def _quality(lines: Sequence[Line], name: str) -> str:
    """Draw one metric: the bank as a band, each check's seeds and their median."""
    figure = svg.figure(4.6, 2.7)
    axes = figure.subplots()
    starts = [i for i, line in enumerate(lines) if line["kind"] == "baseline"]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        bank = np.array(_values(lines[start], name))
        if bank.size:
            at = [start, max(end - 0.5, start + 0.5)]
            axes.fill_between(at, bank.min(), bank.max(), color=svg.PALETTE[2], alpha=0.15, lw=0)
            axes.plot(at, [np.median(bank)] * 2, color=svg.PALETTE[2], lw=1.2)
        axes.axvline(start, color=svg.FOREGROUND, lw=0.8, alpha=0.6)
    for i, line in enumerate(lines):
        values = np.array(_values(line, name))
        if line["kind"] == "baseline" or not values.size:
            continue
        verdict = line.get("verdict", "green")
        colour = COLOURS.get(verdict, svg.FOREGROUND)
        axes.plot([i] * len(values), values, ".", color=colour, ms=3, alpha=0.6)
        worst = np.where(np.isnan(values), -np.inf, values)
        if np.isfinite(middle := float(np.median(worst))):
            axes.plot(i, middle, MARKERS.get(verdict, "o"), color=colour, ms=6)
    _, title, unit, _ = METRICS[name]
    _commits(axes, lines)
    title = f"{title} ({unit})" if unit else title
    axes.set_title(title)
    return svg.to_svg(figure, f"q-{name}", title)


def _speed(lines: Sequence[Line], name: str, index: int) -> str:
    figure = svg.figure(4.6, 2.4)
    axes = figure.subplots()
    points = [
        (i, found[name])
        for i, line in enumerate(lines)
        if name in (found := line.get("speed") or {})
    ]
    axes.plot(
        [i for i, _ in points], [v for _, (v, _) in points], "o-", color=svg.PALETTE[0], ms=4, lw=1
    )
    axes.set_ylim(0, 1.15 * max(float(value) for _, (value, _) in points))
    _commits(axes, lines)
    unit = str(points[-1][1][1])
    axes.set_title(svg.shortened(name, 60) + (f" ({unit})" if unit else ""))
    return svg.to_svg(figure, f"speed{index}", name)


def _commits(axes: Axes, lines: Sequence[Line]) -> None:
    """Name some commits along the axis, as many as fit."""
    stride = max(1, math.ceil(len(lines) / 8))
    ticks = list(range(0, len(lines), stride))
    axes.set_xticks(
        ticks, [str(lines[i].get("commit", ""))[:7] for i in ticks], rotation=30, ha="right"
    )
    axes.set_xlim(-0.6, len(lines) - 0.4)
