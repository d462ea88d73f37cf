"""The figure beside the answer: every variant's paired differences, drawn once, small enough to inline."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bench.metrics import metric
from bench.report import svg
from bench.report.contrast import compare
from bench.report.summary import Summary
from bench.report.svg import Drawing

DOTS = 400
"""Seeds of all variants together up to which each has a dot."""


def differences(summary: Summary) -> Drawing | None:
    """Draw the paired differences on the contrast's metric: a dot per seed, mean and interval."""
    contrast, labels = summary.manifest["contrast"], compared(summary)
    measure = metric(contrast["metric"])
    if not labels:
        return None
    figure = svg.figure(4.3, 0.7 + 0.4 * len(labels))
    draw(summary, figure.subplots())
    title = f"paired differences in {measure.title} against {contrast['against']}"
    return Drawing("differences", title, svg.to_svg(figure, "d", title))


def compared(summary: Summary) -> list[str]:
    """Return the variants that have pairs with the contrast's other one, the contrast's own first."""
    contrast = summary.manifest["contrast"]
    labels = [x for x in summary.labels if x != contrast["against"]]
    labels.sort(key=lambda label: label != contrast["of"])
    table = summary.variants.set_index("label")
    return labels if labels and (table.loc[labels, "pairs"] > 0).any() else []


def draw(summary: Summary, axes: Axes) -> None:
    """Draw the paired differences on axes; raises ValueError where there is no pair."""
    contrast, labels = summary.manifest["contrast"], compared(summary)
    if not labels:
        raise ValueError(f"{summary.root}: no two runs of one seed to compare")
    measure = metric(contrast["metric"])
    _forest(axes, summary, labels)
    axes.axvline(0, color=svg.FOREGROUND, lw=1)
    axes.set_yticks(range(len(labels)), [svg.shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.tick_params(axis="y", length=0)
    unit = f" ({measure.step})" if measure.step else ""
    axes.set_xlabel(f"{measure.title} minus that of {svg.shortened(contrast['against'])}{unit}")


def _forest(axes: Axes, summary: Summary, labels: list[str]) -> None:
    contrast, colours, markers = (
        summary.manifest["contrast"],
        svg.colours(summary.labels),
        svg.markers(summary.labels),
    )
    for y, label in enumerate(labels):
        result = compare(summary.runs, contrast["metric"], label, contrast["against"])
        gid = svg.layer(summary.labels.index(label))
        dots = [] if len(labels) * len(result.seeds) > DOTS else result.differences
        offsets = np.linspace(-0.16, 0.16, len(result.seeds)) if len(result.seeds) > 1 else [0.0]
        for k, (value, offset) in enumerate(zip(dots, offsets, strict=False)):
            axes.plot(
                value,
                y + offset,
                markers[label],
                color=colours[label],
                ms=4,
                alpha=0.55,
                mew=0,
                gid=f"{gid}{k}",
            )
        effect = result.difference
        axes.plot(
            [effect.low, effect.high], [y, y], color=colours[label], lw=2.4, gid=f"{gid}interval"
        )
        axes.plot(effect.estimate, y, markers[label], color=colours[label], ms=8, gid=f"{gid}mean")
