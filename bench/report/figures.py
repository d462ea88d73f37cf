"""The figures of a page: what happened along the search, and how well the supernet ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.contracts.space import Look, Space
from bench.metrics import bounds, number
from bench.report import svg
from bench.report.curves import (
    Chart,
    Curve,
    Floats,
    Panel,
    Readings,
    few,
    panel,
    placed,
    points,
    series,
)
from bench.report.multiples import FEW_ARMS, alike, each_beside, gathered, multiples
from bench.report.pairs import gaps, pairs
from bench.report.summary import Summary
from bench.report.table import interval

TRAJECTORIES = {
    "skip_count": "skip connections in the argmax cell",
    "true_accuracy": "true accuracy of the argmax cell (%)",
    "valid_accuracy": "supernet validation accuracy (%)",
    "weight_free_share": "weight-free share of the argmax cell",
    "alpha_entropy": "entropy of the mixture (nats)",
    "valid_loss": "supernet validation loss",
    "train_accuracy": "training accuracy (%)",
    "train_loss": "training loss",
}
"""In this order at the top; every other reading of an instrument follows under its own name."""
SMALL_SHARE = "p_"
MOST = 60
"""Readings that have a figure; more are in the history alone."""
DOTS = 1200
"""Points of a scatter; more hide each other."""


def readings(summary: Summary) -> Readings:
    """Return what was recorded per epoch."""
    return {label: series(summary.of(label)) for label in summary.labels}


def file_name(*words: str) -> str:
    """Return words as a name that a file may bear."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", "-".join(words))[:60]


def trajectories(summary: Summary, found: Readings) -> Iterator[Chart]:
    """Chart each reading per epoch, a thin line per seed and a bold one for their mean."""
    names = list(dict.fromkeys(name for by_name in found.values() for name in by_name))
    others = [
        name
        for name in names
        # Readings that instruments call details are no columns of the runs.
        if name in summary.runs and name not in TRAJECTORIES and not name.startswith(SMALL_SHARE)
    ]
    ended = _ended(summary)
    for k, name in enumerate([*(name for name in TRAJECTORIES if name in names), *others][:MOST]):
        title = TRAJECTORIES.get(name, name.replace("_", " "))
        called = file_name("trajectory", f"{k}", name)
        panels = (
            each_beside(summary, found, name)
            if len(summary.labels) > FEW_ARMS
            else [_trajectory(summary, found, name)]
        )
        for part in panels:
            _mark_ends(part, ended, found, name)
            if name == "true_accuracy":
                _references(part, summary)
        if len(summary.labels) > FEW_ARMS:
            yield multiples(called, title, panels)
        else:
            panels[0].title = title
            yield Chart(called, title, panels)


def _trajectory(summary: Summary, found: Readings, name: str) -> Panel:
    colours, markers = svg.colours(summary.labels), svg.markers(summary.labels)
    curves = []
    for i, label in enumerate(summary.labels):
        by_seed = found[label].get(name, {})
        # Whole numbers lie on top of each other: move seeds apart by less than they differ.
        apart = [
            0.04 * (i - len(summary.labels) / 2) + 0.02 * k if name == "skip_count" else 0.0
            for k in range(len(by_seed))
        ]
        runs = [(x, y + shift) for (x, y), shift in zip(by_seed.values(), apart, strict=True)]
        curves.append(
            Curve(
                colours[label],
                runs,
                i,
                name=label,
                end=markers[label],
            )
        )
    return panel([curve for curve in curves if curve.runs])


def _ended(summary: Summary) -> list[dict[str, Any]]:
    """Return the runs that did not go to the end: failed, or stopped by themselves."""
    columns = ["label", "seed", "status"]
    if "stopped_epoch" in summary.runs:
        columns.append("stopped_epoch")
    order = {label: i for i, label in enumerate(summary.labels)}
    return [
        {**{str(key): value for key, value in row.items()}, "v": order[str(row["label"])]}
        for row in summary.runs[columns].to_dict("records")
        if row["status"] != "ok" or _number(row.get("stopped_epoch"))
    ]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


def _mark_ends(made: Panel, ended: Sequence[dict[str, Any]], found: Readings, name: str) -> None:
    """Put a cross where a run ended before its time, a bar where it stopped itself."""
    for row in ended:
        run = found[row["label"]].get(name, {}).get(row["seed"])
        stop = row.get("stopped_epoch")
        if run is None or made.variant not in (None, row["v"]):
            continue
        (x, y), at = run, -1
        if row["status"] == "ok":
            if stop not in x:
                continue
            at = list(x).index(stop)
        if np.isfinite(y[at]):
            made.marks.append(
                {
                    "v": row["v"],
                    "x": float(x[at]),
                    "y": placed(float(y[at]), made.low, made.high),
                    "k": "x" if row["status"] != "ok" else "|",
                }
            )


def _references(made: Panel, summary: Summary) -> None:
    """Mark what the best and the average cell of the table are worth."""
    truths = [r["truth"] for r in summary.results.values() if isinstance(r.get("truth"), dict)]
    levels = truths[0] if truths else {}
    for key, text in (("best", "best cell"), ("random", "average cell")):
        if isinstance(level := levels.get(key), int | float):
            made.rescale(min(made.low, level), max(made.high, level))
            made.levels.append({"y": level, "text": f"{text} {number(level, 1)}"})


def looks_of(summary: Summary, operations: Sequence[str]) -> dict[str, Look]:
    """Return how operations are shown, by the spaces that have them."""
    spaces = {id(s): s for label in summary.labels if (s := summary.space(label)) is not None}
    found = {name: space.look(name) for space in spaces.values() for name in space.operations}
    return {name: found.get(name, Look(name, "currentColor")) for name in operations}


def shares(summary: Summary, found: Readings) -> Iterator[Chart]:
    """Chart each operation's mean share of the mixture per epoch, a figure per variant."""
    operations = list(
        dict.fromkeys(
            name.removeprefix(SMALL_SHARE)
            for by_name in found.values()
            for name in by_name
            if name.startswith(SMALL_SHARE)
        )
    )
    looks, total = looks_of(summary, operations), len(summary.results)
    charts = []
    for i, label in enumerate(summary.labels):
        curves = [
            Curve(
                looks[operation].colour,
                few(by_seed, total),
                name=looks[operation].short,
                dashed=operation == "none",
            )
            for operation in operations
            if (by_seed := found[label].get(SMALL_SHARE + operation))
        ]
        if curves:
            made = panel(curves, title=svg.shortened(label, 48))
            made.levels.append({"y": 1 / len(operations)})
            charts.append(
                Chart(f"shares-{i}", f"mean mixture share per operation, {label}", [made], i)
            )
    alike([part for chart in charts for part in chart.panels])
    yield from charts


def alphas(summary: Summary) -> Iterator[Chart]:
    """Chart the softmax of alpha per edge and epoch, a figure per variant that learns one."""
    total = len(summary.results)
    for i, label in enumerate(summary.labels):
        space = summary.space(label)
        if space is None:
            continue
        tables = [table for result in summary.of(label) if (table := mixture(space, result))]
        if not any(len(np.unique(values[:, 0, 0])) > 1 for _, values in tables):
            continue
        panels = []
        for k, edge in enumerate(space.edge_names):
            curves = [
                Curve(
                    space.look(operation).colour,
                    few({s: (x, values[:, k, j]) for s, (x, values) in enumerate(tables)}, total),
                    name=space.look(operation).short,
                    dashed=operation == "none",
                )
                for j, operation in enumerate(space.operations)
            ]
            panels.append(panel(curves, title=edge))
        chart = Chart(f"alpha-{i}", label, panels, i, columns=min(3, len(panels)))
        alike(chart.panels)
        yield chart


def mixture(space: Space, result: dict[str, Any]) -> tuple[Floats, Floats] | None:
    """Return the epochs of a run and its softmax of alpha [T, edges, operations]; None: it has none."""
    shape, epochs, found = (len(space.edge_names), len(space.operations)), [], []
    for entry in result.get("history", []):
        try:
            alpha = np.array(entry.get("alpha") or [], dtype=float)
        except (TypeError, ValueError):
            continue
        if alpha.shape == shape and np.isfinite(alpha).all():
            powers = np.exp(alpha - alpha.max(axis=1, keepdims=True))
            found.append(powers / powers.sum(axis=1, keepdims=True))
            epochs.append(float(entry["epoch"]))
    return (np.array(epochs), np.array(found)) if found else None


def rankings(summary: Summary) -> Iterator[Chart]:
    """Chart supernet score against true accuracy, a figure per variant, a shape per seed."""
    colours = svg.colours(summary.labels)
    rows = {row["label"]: row for _, row in summary.variants.iterrows()}
    each = DOTS if len(summary.labels) <= FEW_ARMS else DOTS // 4
    for i, label in enumerate(summary.labels):
        groups = [
            (frame["accuracy"].to_numpy(dtype=float), frame["truth"].to_numpy(dtype=float))
            for frame in summary.rankings(label).values()
        ]
        if not groups:
            continue
        tau = interval(rows[label], "tau")
        made = points(
            groups,
            colours[label],
            each,
            scale="error",
            title=f"{svg.shortened(label, 48)}\nτ {number(tau.estimate, 2)}{bounds(tau, 2, ' [{}, {}]')}"
            f" · parameter count alone {number(rows[label]['tau_parameters'], 2)}",
            x_label="supernet's accuracy of the sub-network (%)",
            y_label="true accuracy (%)",
        )
        title = f"supernet score against true accuracy, {label}"
        yield Chart(f"ranking-{i}", title, [made], i)


def charts(summary: Summary) -> dict[str, list[Chart]]:
    """Return every figure that the page's script draws, by section of the page."""
    found = readings(summary)
    made = {
        "trajectories": list(trajectories(summary, found)),
        "pairs": list(pairs(summary, found)),
        "gaps": list(gaps(summary, found)),
        "shares": list(shares(summary, found)),
        "rankings": list(rankings(summary)),
        "alphas": list(alphas(summary)),
    }
    if len(summary.labels) > FEW_ARMS:
        for name, title in GATHERED.items():
            made[name] = gathered(summary, name, title, made[name])
    return made


GATHERED = {
    "gaps": "discretisation gap",
    "shares": "mean mixture share per operation",
    "rankings": "supernet score against true accuracy",
}
"""Sections with a figure per variant that become one of small panels where variants are many."""
