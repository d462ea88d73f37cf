"""What was read along a search beside the true accuracy of its cell: does a reading lead it?"""

from __future__ import annotations

from collections.abc import Iterator

from bench.report import svg
from bench.report.curves import Chart, Curve, Panel, Readings, few, panel
from bench.report.multiples import FEW_ARMS
from bench.report.summary import Summary

WORDS = ("hessian", "eigenvalue")
"""A reading with one of these in its name is drawn above the true accuracy of the same search."""
SPREAD = "_sd"
"""How readings end that say how uncertain another is; they are not drawn."""
MOST = 3
"""Readings that are drawn so, eigenvalues first; a whole spectrum would bury the page."""
TRUE = "true_accuracy"
GAP = ("gap_", "discretisation_")
"""How readings of the discretisation gap begin."""


def paired(found: Readings) -> list[str]:
    """Return the readings to draw beside true accuracy; none where that was not read."""
    read = list(dict.fromkeys(name for by_name in found.values() for name in by_name))
    names = [
        name
        for word in reversed(WORDS)
        for name in read
        if word in name and not name.endswith(SPREAD)
    ]
    return list(dict.fromkeys(names))[:MOST] if TRUE in read else []


def pairs(summary: Summary, found: Readings) -> Iterator[Chart]:
    """Chart each such reading above true accuracy, a figure per variant, the stops marked.

    Where variants are many, those of the contrast alone.
    """
    contrast, many = summary.manifest["contrast"], len(summary.labels) > FEW_ARMS
    for k, name in enumerate(paired(found)):
        for i, label in enumerate(summary.labels):
            if many and label not in (contrast["of"], contrast["against"]):
                continue
            if name in found[label] and TRUE in found[label]:
                panels = [_seeds(found, label, which) for which in (name, TRUE)]
                panels[0].title = svg.shortened(label, 48)
                panels[0].marks = list(_stops(summary, label, named=True))
                panels[1].marks = list(_stops(summary, label, named=False))
                yield Chart(
                    f"pair-{k}-{i}", f"{_words(name)} and true accuracy, {label}", panels, i
                )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _colour(seed: object) -> str:
    return svg.PALETTE[int(str(seed)) % len(svg.PALETTE)]


def _seeds(found: Readings, label: str, name: str) -> Panel:
    """Draw a line and a marker per seed, both the same above and below."""
    curves = [
        Curve(_colour(seed), [run], name=f"seed {seed}", end=svg.MARKERS[k % len(svg.MARKERS)])
        for k, (seed, run) in enumerate(sorted(found[label][name].items()))
    ]
    return panel(curves, y_label="true accuracy (%)" if name == TRUE else _words(name))


def _stops(summary: Summary, label: str, *, named: bool) -> Iterator[dict[str, object]]:
    """Mark the epoch whose cell counts where a search stopped itself, in the seed's colour."""
    if "stopped_epoch" not in summary.runs:
        return
    runs = summary.runs[(summary.runs["label"] == label) & (summary.runs["status"] == "ok")]
    for run in runs.dropna(subset=["stopped_epoch"]).to_dict("records"):
        epoch = float(run["stopped_epoch"])
        text = {"text": f"stop {epoch:.0f}"} if named else {}
        yield {"x": epoch, "k": "stop", "c": _colour(run["seed"]), **text}


def gaps(summary: Summary, found: Readings) -> Iterator[Chart]:
    """Chart the readings of the discretisation gap together, a figure per variant."""
    for i, label in enumerate(summary.labels):
        names = [name for name in found[label] if name.startswith(GAP)]
        if names:
            curves = [
                Curve(
                    svg.PALETTE[k % len(svg.PALETTE)],
                    few(found[label][name], len(summary.results)),
                    name=_without_prefix(name),
                    end=svg.MARKERS[k % len(svg.MARKERS)],
                )
                for k, name in enumerate(names)
            ]
            made = panel(curves, title=svg.shortened(label, 48))
            yield Chart(f"gap-{i}", f"discretisation gap, {label}", [made], i)


def _without_prefix(name: str) -> str:
    for prefix in GAP:
        name = name.removeprefix(prefix)
    return _words(name)
