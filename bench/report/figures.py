"""The figures of a page: what happened along the search, and how well the supernet ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.contracts.space import Look
from bench.metrics import bounds, metric, number
from bench.report import svg
from bench.report.contrast import compare
from bench.report.pairs import gaps, pairs
from bench.report.summary import Summary
from bench.report.svg import Drawing
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
MANY = 1500
"""Points from which on a scatter is embedded as an image: the page stays small."""


def trajectories(summary: Summary) -> Iterator[Drawing]:
    """Draw each reading per epoch, a thin line per seed and a bold one for their mean."""
    history = summary.history
    found = [str(name) for name in history["metric"].unique()]
    others = [
        name
        for name in found
        # Readings that instruments call details are no columns of the runs.
        if name in summary.runs and name not in TRAJECTORIES and not name.startswith(SMALL_SHARE)
    ]
    for name in [*(name for name in TRAJECTORIES if name in found), *others]:
        title = TRAJECTORIES.get(name, name.replace("_", " "))
        yield _trajectory(summary, history[history["metric"] == name], name, title)


def _trajectory(summary: Summary, rows: pd.DataFrame, name: str, title: str) -> Drawing:
    figure = svg.figure()
    axes = figure.subplots()
    colours, markers = svg.colours(summary.labels), svg.markers(summary.labels)
    for i, label in enumerate(summary.labels):
        mine = rows[rows["label"] == label]
        for k, (seed, run) in enumerate(mine.groupby("seed")):
            # Whole numbers lie on top of each other: move seeds apart by less than they differ.
            shift = 0.04 * (i - len(summary.labels) / 2) + 0.02 * k if name == "skip_count" else 0.0
            x, y = run["epoch"].to_numpy(), run["value"].to_numpy() + shift
            axes.plot(x, y, color=colours[label], lw=0.8, alpha=0.55, gid=f"{svg.layer(i)}{seed}")
            _mark_end(axes, summary, label, int(str(seed)), x, y, svg.layer(i) + f"x{seed}")
        if len(mine):
            mean = mine.groupby("epoch")["value"].mean()
            axes.plot(
                mean.index, mean, color=colours[label], lw=2.2, marker=markers[label], ms=4.5,
                markevery=[len(mean) - 1], gid=f"{svg.layer(i)}mean",
            )  # fmt: skip
    if name == "true_accuracy":
        _references(axes, summary)
    if name == "skip_count":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
    _epochs(axes)
    axes.set_title(title)
    return Drawing(f"trajectory-{name}", title, svg.to_svg(figure, f"t-{name}", title))


def _mark_end(
    axes: Axes, summary: Summary, label: str, seed: int, x: np.ndarray, y: np.ndarray, gid: str
) -> None:
    """Put a cross where a run ended before its time, or stopped itself."""
    runs = summary.runs
    run = runs[(runs["label"] == label) & (runs["seed"] == seed)].iloc[0]
    stop = run.get("stopped_epoch")
    if run["status"] != "ok":
        axes.plot(x[-1:], y[-1:], "x", color="#d1242f", ms=6, mew=1.6, gid=gid)
    elif isinstance(stop, int | float) and stop in x:
        at = list(x).index(stop)
        axes.plot(
            x[at : at + 1], y[at : at + 1], "|", color=svg.FOREGROUND, ms=11, mew=1.4, gid=gid
        )


def _references(axes: Axes, summary: Summary) -> None:
    """Draw what the best and the average cell of the table are worth."""
    truths = [r["truth"] for r in summary.results.values() if isinstance(r.get("truth"), dict)]
    if not truths:
        return
    for key, text in (("best", "best cell"), ("random", "average cell")):
        level = truths[0].get(key)
        if isinstance(level, int | float):
            axes.axhline(level, color=svg.FOREGROUND, lw=0.8, ls=(0, (4, 3)), alpha=0.6)
            axes.annotate(
                f"{text}\n{number(level, 1)}", (1.02, level), xycoords=axes.get_yaxis_transform(),
                va="center", fontsize=8, alpha=0.8, annotation_clip=False,
            )  # fmt: skip


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def shares(summary: Summary) -> Iterator[Drawing]:
    """Draw each operation's mean share of the mixture per epoch, a figure per variant."""
    history = summary.history[summary.history["metric"].str.startswith(SMALL_SHARE)]
    if history.empty:
        return
    operations = [str(name)[len(SMALL_SHARE) :] for name in history["metric"].unique()]
    looks = looks_of(summary, operations)
    spread = float(history["value"].max() - history["value"].min()) or 0.1
    low, high = history["value"].min() - 0.06 * spread, history["value"].max() + 0.06 * spread
    for i, label in enumerate(summary.labels):
        mine = history[history["label"] == label]
        if mine.empty:
            continue
        figure = svg.figure()
        axes = figure.subplots()
        for operation in operations:
            rows = mine[mine["metric"] == SMALL_SHARE + operation]
            _by_seed(axes, rows, "value", looks[operation].colour, operation)
        axes.axhline(1 / len(operations), color=svg.FOREGROUND, lw=0.8, ls=(0, (4, 3)), alpha=0.6)
        axes.set_ylim(low, high)
        _epochs(axes)
        _name_ends(axes, mine, looks)
        axes.set_title(svg.shortened(label, 48))
        title = f"mean mixture share per operation, {label}"
        yield Drawing(f"shares-{i}", title, svg.to_svg(figure, f"s{i}", title))


def _by_seed(axes: Axes, rows: pd.DataFrame, column: str, colour: str, operation: str) -> None:
    """Draw a thin line per seed and a bold one for their mean; what is `none` is dashed."""
    dash = (0, (3, 2)) if operation == "none" else "-"
    for _, run in rows.groupby("seed"):
        axes.plot(run["epoch"], run[column], color=colour, lw=0.7, alpha=0.5, ls=dash)
    if len(rows):
        mean = rows.groupby("epoch")[column].mean()
        axes.plot(mean.index, mean, color=colour, lw=2, ls=dash)


def looks_of(summary: Summary, operations: Sequence[str]) -> dict[str, Look]:
    """Return how operations are shown, by the spaces that have them."""
    spaces = [space for label in summary.labels if (space := summary.space(label)) is not None]
    found = {name: space.look(name) for space in spaces for name in space.operations}
    return {name: found.get(name, Look(name, svg.FOREGROUND)) for name in operations}


def _name_ends(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Write each operation's name at the end of its line, moved apart where they would overlap."""
    last = rows[rows["epoch"] == rows["epoch"].max()]
    ends = {o: last.loc[last["metric"] == SMALL_SHARE + o, "value"].mean() for o in looks}
    low, high = axes.get_ylim()
    gap, previous = 0.085 * (high - low), -np.inf
    for operation, y in sorted(ends.items(), key=lambda item: item[1]):
        previous = max(y, previous + gap)
        axes.annotate(
            looks[operation].short, (1.02, previous), xycoords=axes.get_yaxis_transform(),
            color=looks[operation].colour, fontsize=8.5, va="center", annotation_clip=False,
        )  # fmt: skip


def alphas(summary: Summary) -> Iterator[Drawing]:
    """Draw the softmax of alpha per edge and epoch, a figure per variant that learns one."""
    for i, label in enumerate(summary.labels):
        mine = summary.alphas[summary.alphas["label"] == label]
        if mine.empty or mine.groupby(["seed", "edge", "operation"])["share"].nunique().max() < 2:
            continue
        if (space := summary.space(label)) is None:
            continue
        edges, operations = space.edge_names, space.operations
        columns = min(3, len(edges))
        rows = -(-len(edges) // columns)
        figure = svg.figure(2.15 * columns, 1.75 * rows + 0.3)
        panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes, edge in zip(panels, edges, strict=False):
            for operation in operations:
                here = mine[(mine["edge"] == edge) & (mine["operation"] == operation)]
                _by_seed(axes, here, "share", space.look(operation).colour, operation)
            axes.set_title(edge)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        for axes in panels[len(edges) :]:
            axes.set_visible(False)
        figure.supxlabel("epoch", fontsize=9.5)
        title = f"softmax of α per edge, {label}"
        yield Drawing(f"alpha-{i}", label, svg.to_svg(figure, f"a{i}", title))


def rankings(summary: Summary) -> Iterator[Drawing]:
    """Draw supernet score against true accuracy, a figure per variant, a marker per seed."""
    colours = svg.colours(summary.labels)
    for i, label in enumerate(summary.labels):
        scores = summary.rankings(label)
        if not scores:
            continue
        figure = svg.figure()
        axes = figure.subplots()
        count = sum(map(len, scores.values()))
        for k, frame in enumerate(scores.values()):
            sns.scatterplot(
                x=frame["accuracy"], y=frame["truth"], ax=axes, color=colours[label], linewidth=0,
                s=9 if count > MANY else 15, alpha=0.3 if count > MANY else 0.55,
                marker=svg.MARKERS[k % len(svg.MARKERS)], rasterized=count > MANY,
            )  # fmt: skip
        row = next(row for _, row in summary.variants.iterrows() if row["label"] == label)
        tau = interval(row, "tau")
        axes.set_title(
            f"{svg.shortened(label, 48)}\nτ {number(tau.estimate, 2)}{bounds(tau, 2, ' [{}, {}]')}"
            f" · parameter count alone {number(row['tau_parameters'], 2)}"
        )
        axes.set(xlabel="supernet's accuracy of the sub-network (%)", ylabel="true accuracy (%)")
        _by_error(axes)
        title = f"supernet score against true accuracy, {label}"
        yield Drawing(f"ranking-{i}", title, svg.to_svg(figure, f"r{i}", title))


def _by_error(axes: Axes) -> None:
    """Scale y by the logarithm of the error: good cells are close together, bad ones far below."""
    low, high = axes.get_ylim()
    axes.set_yscale("function", functions=(
        lambda y: -np.log(np.maximum(101.0 - y, 1e-9)), lambda z: 101.0 - np.exp(-z),
    ))  # fmt: skip
    axes.set_ylim(max(low - 2, 0.0), min(high, 100.0))
    ticks = [t for t in (10, 30, 50, 60, 70, 80, 85, 90, 92, 94, 96, 98) if low <= t <= high]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def differences(summary: Summary) -> Drawing | None:
    """Draw the paired differences on the contrast's metric: a dot per seed, mean and interval."""
    contrast = summary.manifest["contrast"]
    measure = metric(contrast["metric"])
    labels = [x for x in summary.labels if x != contrast["against"]]
    labels.sort(key=lambda label: label != contrast["of"])
    table = summary.variants.set_index("label")
    if not labels or not (table.loc[labels, "pairs"] > 0).any():
        return None
    figure = svg.figure(4.3, 0.7 + 0.4 * len(labels))
    axes = figure.subplots()
    _forest(axes, summary, labels)
    axes.axvline(0, color=svg.FOREGROUND, lw=1)
    axes.set_yticks(range(len(labels)), [svg.shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.tick_params(axis="y", length=0)
    unit = f" ({measure.unit})" if measure.unit else ""
    axes.set_xlabel(f"{measure.title} minus that of {svg.shortened(contrast['against'])}{unit}")
    title = f"paired differences in {measure.title} against {contrast['against']}"
    return Drawing("differences", title, svg.to_svg(figure, "d", title))


def _forest(axes: Axes, summary: Summary, labels: list[str]) -> None:
    contrast, colours, markers = (
        summary.manifest["contrast"], svg.colours(summary.labels), svg.markers(summary.labels),
    )  # fmt: skip
    for y, label in enumerate(labels):
        result = compare(summary.runs, contrast["metric"], label, contrast["against"])
        gid = svg.layer(summary.labels.index(label))
        offsets = np.linspace(-0.16, 0.16, len(result.seeds)) if len(result.seeds) > 1 else [0.0]
        for k, (value, offset) in enumerate(zip(result.differences, offsets, strict=False)):
            axes.plot(
                value, y + offset, markers[label], color=colours[label], ms=4, alpha=0.55, mew=0,
                gid=f"{gid}{k}",
            )  # fmt: skip
        effect = result.difference
        axes.plot(
            [effect.low, effect.high], [y, y], color=colours[label], lw=2.4, gid=f"{gid}interval"
        )
        axes.plot(effect.estimate, y, markers[label], color=colours[label], ms=8, gid=f"{gid}mean")


def figures(summary: Summary) -> dict[str, list[Drawing]]:
    """Draw everything, by section of the page."""
    with svg.style():
        forest = differences(summary)
        return {
            "differences": [forest] if forest else [],
            "trajectories": list(trajectories(summary)),
            "pairs": list(pairs(summary)),
            "gaps": list(gaps(summary)),
            "shares": list(shares(summary)),
            "rankings": list(rankings(summary)),
            "alphas": list(alphas(summary)),
        }
