"""All variants against the contrast's other one: paired differences, sorted, a row for each."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from bench.metrics import bounds, metric, p_text, plural
from bench.report import svg
from bench.report.arms import describe
from bench.report.contrast import compare
from bench.report.curves import Chart, Panel, encode, limits
from bench.report.summary import Summary

DOTS = 400
"""Seeds of all variants together up to which each has a dot on paper."""
NAME = "differences"


def title(summary: Summary) -> str:
    """Return what the figure shows."""
    contrast = summary.manifest["contrast"]
    return f"paired differences in {metric(contrast['metric']).title} against {contrast['against']}"


def compared(summary: Summary) -> list[str]:
    """Return the variants to compare with the contrast's other one, by effect; empty without a pair.

    The hoped-for end of the scale comes first, variants without a pair last.
    """
    contrast = summary.manifest["contrast"]
    effects = {row["label"]: row for row in summary.variants.to_dict("records")}
    labels = [x for x in summary.labels if x != contrast["against"]]
    if not any(effects[label]["pairs"] > 0 for label in labels):
        return []
    sign = 1.0 if metric(contrast["metric"]).better == "lower" else -1.0

    def place(label: str) -> float:
        effect = sign * float(effects[label]["difference"])
        return math.inf if math.isnan(effect) else effect

    return sorted(labels, key=place)


def axis(summary: Summary) -> str:
    """Return the label of the axis of differences."""
    contrast = summary.manifest["contrast"]
    measure = metric(contrast["metric"])
    unit = f" ({measure.step})" if measure.step else ""
    return f"{measure.title} minus that of {svg.shortened(contrast['against'])}{unit}"


def differences(summary: Summary) -> Chart | None:
    """Return the figure beside the answer, for the page's script; None where there is no pair.

    A row has its variant, mean, bounds, and the difference of each seed.
    """
    labels, contrast = compared(summary), summary.manifest["contrast"]
    if not labels:
        return None
    measure = metric(contrast["metric"])
    corrected = {row["label"]: row["p_holm"] for row in summary.variants.to_dict("records")}
    found = {x: compare(summary.runs, measure.name, x, contrast["against"]) for x in labels}
    every = [
        v
        for r in found.values()
        for v in (0.0, *r.differences, r.difference.low, r.difference.high)
    ]
    low, high = limits(np.array(every, dtype=float))
    colours, markers = svg.colours(summary.labels), svg.markers(summary.labels)
    made = Panel(x_label=axis(summary), low=low, high=high)
    for label, result in found.items():
        effect = result.difference
        text = measure.text(effect.estimate, signed=True)
        text += bounds(effect, measure.digits, " [{}, {}]", signed=True)
        made.lines.append(
            {
                "v": summary.labels.index(label),
                "n": label,
                "c": colours[label],
                "m": markers[label],
                "row": encode(np.array(list(effect), dtype=float), low, high),
                "dots": encode(np.array(result.differences, dtype=float), low, high),
                "seeds": list(result.seeds),
                "text": text,
                "more": f"{plural(len(result.seeds), 'pair')}, p (Holm) {p_text(corrected[label])}",
                "what": describe(summary.manifest, label),
                "digits": measure.digits,
                "strong": label == contrast["of"],
            }
        )
    return Chart(NAME, title(summary), [made], kind="forest")


def draw(summary: Summary, axes: Axes) -> None:
    """Draw the paired differences on axes; raises ValueError where there is no pair."""
    labels = compared(summary)
    if not labels:
        raise ValueError(f"{summary.root}: no two runs of one seed to compare")
    _rows(axes, summary, labels)
    axes.axvline(0, color=svg.FOREGROUND, lw=1)
    axes.set_yticks(range(len(labels)), [svg.shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(axis(summary))


def _rows(axes: Axes, summary: Summary, labels: list[str]) -> None:
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
