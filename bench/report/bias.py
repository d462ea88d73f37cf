"""The hypergradient bias of an output folder: the answer, a table, numbers, a figure.

Its numbers come from the instrument `hypergradient_bias` of every run that had it. Unit of
replication is the seed: readings at several epochs are averaged within it, since they are of one
search.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bench import shapes
from bench.files import write_atomically
from bench.instruments._bias import REFERENCE
from bench.metrics import bounds, number, plural
from bench.report import svg
from bench.report.rows import name_of
from bench.report.table import as_csv
from bench.runs import store
from bench.runs.manifest import MANIFEST, read_manifest
from bench.shapes import Shape, Whole
from bench.statistics import Interval, student, too_few_seeds

INSTRUMENT = "hypergradient_bias"
DISTANCES = {
    "cosine": "cosine", "cosine_debiased": "debiased", "sign": "sign", "error": "rel. error",
    "ratio": "norm ratio",
    "implicit_cosine": "cosine, impl.", "implicit_sign": "sign, impl.",
    "implicit_error": "rel. error, impl.", "implicit_ratio": "norm ratio, impl.",
    "bias": "bias", "variance": "variance",
}  # fmt: skip
PULLS = {
    "skip_share": 3, "skip_shift": 3, "implicit_skip_share": 3, "drift_skip_share": 3, "skip": 5,
}  # fmt: skip
"""Signed quantities and their decimals."""
INTERVALS = ("skip_share", "skip_shift", "implicit_skip_share", "drift_skip_share")
PULL_AND_COST = {
    "skip_share": "skip share", "skip_shift": "minus reference",
    "implicit_skip_share": "total minus direct at w_T", "drift_skip_share": "drift of w",
    "skip": "skip", "times": "time (×first-order)", "megabytes": "MB",
    "diverged": "diverged", "indefinite": "indefinite",
}  # fmt: skip


class Estimator(Shape):
    """An estimator as the manifest has it."""

    name: str
    T: Whole | None = None
    K: Whole | None = None


class Reference(Estimator):
    """What the others are measured against."""

    T: Whole


class Configuration(Shape):
    """What of the instrument's settings is used here."""

    estimators: dict[str, Estimator]
    reference: Reference
    sequences: Whole


@dataclass(frozen=True)
class Readings:
    """All readings of the instrument below an output folder.

    Attributes
    ----------
    values
        Long: label (of the variant), seed, epoch, estimator, quantity, value.
    estimators
        Label → name and parameters, in the order of the file; the reference last.
    sequences
        How many batch sequences a reading is made of.
    """

    root: Path
    values: pd.DataFrame
    estimators: dict[str, dict[str, Any]]
    sequences: int

    @classmethod
    def read(cls, root: Path) -> Readings:
        """Read an output folder.

        Raises
        ------
        ValueError
            When it is none, when no run had the instrument, or when runs had different ones.
        """
        manifest = read_manifest(root)
        used = {
            arm["label"]: instrument
            for arm in manifest["arms"]
            for instrument in (arm.get("settings") or {}).get("instruments", [])
            if isinstance(instrument, dict) and instrument.get("name") == INSTRUMENT
        }
        if not used:
            raise ValueError(f"{root}: no variant has the instrument {INSTRUMENT}")
        configuration = next(iter(used.values()))
        shapes.check(Configuration, configuration, f"{root / MANIFEST}: {INSTRUMENT}")
        if any(other != configuration for other in used.values()):
            raise ValueError(f"{root}: variants have different settings of {INSTRUMENT}")
        estimators = configuration["estimators"] | {REFERENCE: configuration["reference"]}
        rows = []
        for folder in manifest["runs"]:
            result = store.read_result(root / folder)
            named = name_of(folder)
            if result is not None and named["label"] in used:
                rows += _rows(result | named, list(estimators))
        columns = ["label", "seed", "epoch", "estimator", "quantity", "value"]
        if not rows:
            raise ValueError(f"{root}: no finished run has a reading of {INSTRUMENT}")
        frame = pd.DataFrame(rows, columns=columns)
        return cls(root, frame, estimators, configuration["sequences"])

    @property
    def short(self) -> str:
        """The label of first-order, which has no horizon."""
        found = [k for k, e in self.estimators.items() if e["name"] == "first_order"]
        if not found:
            raise ValueError(f"{self.root}: {INSTRUMENT} was not asked about first_order")
        return found[0]

    @property
    def horizons(self) -> dict[str, int]:
        """Label → inner steps looked ahead, of what is exact at its horizon, ascending."""
        exact = {
            k: e["T"]
            for k, e in self.estimators.items()
            if e["name"] == "reverse" and e.get("T") and e.get("K") in (None, e["T"])
        }
        return dict(sorted({self.short: 0, **exact}.items(), key=lambda item: item[1]))

    def mean(self, estimator: str, quantity: str) -> Interval:
        """Return the mean over seeds with a t interval; no bounds from a single seed."""
        own = self.values[
            (self.values["estimator"] == estimator) & (self.values["quantity"] == quantity)
        ]
        return over_seeds(own)


def _rows(result: dict[str, Any], labels: list[str]) -> list[tuple[Any, ...]]:
    """Take the instrument's readings out of a run's history."""
    rows: list[tuple[Any, ...]] = []
    for entry in result.get("history", []):
        for name, value in entry.items():
            # The longest label: `reverse_1` must not take what belongs to `reverse_1_clipped`.
            mine = [label for label in labels if name.startswith(f"bias_{label}_")]
            if mine and isinstance(value, int | float):
                label = max(mine, key=len)
                quantity = name.removeprefix(f"bias_{label}_")
                rows.append(
                    (result["label"], result["seed"], entry["epoch"], label, quantity, value)
                )
    return rows


def over_seeds(rows: pd.DataFrame) -> Interval:
    """Average a quantity within runs, then over them, with Student's interval (95 %)."""
    return student(rows.groupby(["label", "seed"])["value"].mean().to_numpy(dtype=float))


def answer(readings: Readings) -> str:
    """Say whether the longer horizon pulls less toward skip: one sentence with its interval."""
    shift = readings.mean(readings.short, "skip_shift")
    change = Interval(-shift.estimate, -shift.high, -shift.low)
    T = readings.estimators[REFERENCE]["T"]
    short = readings.mean(readings.short, "skip_share").estimate
    long = readings.mean(REFERENCE, "skip_share").estimate
    headline = "Not shown"
    if change.excludes(0.0):
        headline = "Yes" if change.estimate < 0 else "No, it raises it"
    interval = bounds(change, 3, "95 % interval {} to {}", signed=True)
    runs = readings.values.groupby(["label", "seed"]).ngroups
    epochs = readings.values.groupby(["label", "seed", "epoch"]).ngroups
    return (
        f"Does a longer horizon lower the pull toward skip? {headline}: skip_connect's share of "
        f"the direction of descent is {number(short, 3, signed=True)} for first-order and "
        f"{number(long, 3, signed=True)} for the exact gradient {T} steps ahead, a change of "
        f"{number(change.estimate, 3, signed=True)} ({interval or 'no interval from one search'}; "
        f"{plural(runs, 'search')}, {plural(epochs, 'state')}, {readings.sequences} batch "
        f"sequences each).".replace("searchs", "searches")
    )


def remarks(readings: Readings) -> str:
    """Say what the answer does not: within these states alone, and what the seeds allow."""
    own = readings.values[readings.values["estimator"] == readings.short]
    errors = own[own["quantity"] == "skip_shift_se"]["value"].to_numpy(dtype=float)
    within = 1.96 * math.sqrt(float((errors**2).sum())) / len(errors)
    shift = readings.mean(readings.short, "skip_shift").estimate
    text = (
        "The interval is Student's over searches. For these very states, over batch sequences "
        f"alone, it is {number(-shift - within, 3, signed=True)} to "
        f"{number(-shift + within, 3, signed=True)}."
    )
    few = too_few_seeds(readings.values.groupby(["label", "seed"]).ngroups)
    return text + (f" Without a normal distribution: {few}." if few else "")


def table(readings: Readings) -> str:
    """Return the Markdown tables: distance from the reference, pull toward skip and cost."""
    distance = _markdown(
        readings,
        DISTANCES,
        lambda label, q: number(readings.mean(label, q).estimate, 2),
        [label for label in readings.estimators if label != REFERENCE],
    )
    base = readings.mean(readings.short, "seconds").estimate

    def cell(label: str, quantity: str) -> str:
        if quantity == "times":
            return number(readings.mean(label, "seconds").estimate / base, 1)
        found = readings.mean(label, quantity)
        if quantity not in PULLS:
            return number(found.estimate, 1 if quantity == "megabytes" else 2)
        limits = bounds(found, 3, signed=True) if quantity in INTERVALS else ""
        return f"{number(found.estimate, PULLS[quantity], signed=True)} {limits}".strip()

    return f"{distance}\n\n{_markdown(readings, PULL_AND_COST, cell, list(readings.estimators))}"


def _markdown(
    readings: Readings, columns: dict[str, str], cell: Callable[[str, str], str], labels: list[str]
) -> str:
    lines = [
        f"| estimator | {' | '.join(columns.values())} |",
        "|---|" + "---:|" * len(columns),
    ]
    for label in labels:
        member = readings.estimators[label]
        shown = {k: v for k, v in member.items() if k in ("T", "K", "k") and v is not None}
        parameters = ", ".join(f"{k}={v}" for k, v in shown.items())
        named = f"{label} ({parameters})" if parameters else label
        lines.append(f"| {named} | {' | '.join(cell(label, q) for q in columns)} |")
    return "\n".join(lines)


def figure(readings: Readings) -> str:
    """Draw skip's share against the horizon, and how well each estimator points the right way."""
    drawing = svg.figure(8.6, 3.4)
    left, right = drawing.subplots(1, 2)
    _ladder(left, readings)
    _agreement(right, readings)
    return svg.to_svg(drawing, "bias", "Pull toward skip by horizon, and cosine with the reference")


def _ladder(axes: Axes, readings: Readings) -> None:
    horizons = readings.horizons
    places = {label: i for i, label in enumerate(horizons)}
    shares = readings.values[readings.values["quantity"] == "skip_share"]
    for (_, _, epoch), run in shares.groupby(["label", "seed", "epoch"]):
        own = run.set_index("estimator")["value"].reindex(list(horizons))
        axes.plot(range(len(places)), own, lw=0.7, alpha=0.5, color=svg.PALETTE[0])
        axes.annotate(
            f" {epoch}", (len(places) - 1, own.iloc[-1]), fontsize=7, alpha=0.6, va="center"
        )
    for label, place in places.items():
        found = readings.mean(label, "skip_share")
        axes.plot(place, found.estimate, "o", color=svg.PALETTE[1], ms=5, zorder=3)
        if math.isfinite(found.low):
            axes.vlines(place, found.low, found.high, color=svg.PALETTE[1], lw=1.6)
    axes.axhline(0, color=svg.FOREGROUND, lw=0.8, alpha=0.6)
    axes.set_xticks(range(len(places)), [str(steps) for steps in horizons.values()])
    axes.set_ylim(max(-1.0, float(shares["value"].min()) - 0.1), float(shares["value"].max()) + 0.1)
    axes.set_xlabel("inner steps looked ahead; lines: one state, named by epoch")
    axes.set_title("share of skip_connect in the direction of descent")


def _agreement(axes: Axes, readings: Readings) -> None:
    labels = [label for label in readings.estimators if label != REFERENCE]
    for quantity, marker, colour, name in (
        ("cosine", "o", svg.PALETTE[0], "whole"),
        ("implicit_cosine", "s", svg.PALETTE[1], "implicit part"),
    ):
        for place, label in enumerate(labels):
            found = readings.mean(label, quantity)
            if math.isfinite(found.estimate):
                axes.plot(found.estimate, place, marker, color=colour, ms=5)
            if math.isfinite(found.low):
                axes.hlines(place, max(-1, found.low), min(1, found.high), color=colour, lw=1.2)
        axes.plot([], [], marker, color=colour, label=name)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.axvline(0, color=svg.FOREGROUND, lw=0.8, alpha=0.6)
    axes.set_xlim(-1.05, 1.05)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), ncols=2)
    axes.set_title(f"cosine with the gradient {readings.estimators[REFERENCE]['T']} steps ahead")


def write(root: Path, to: Path) -> str:
    """Write ``summary.md``, ``bias.csv`` and ``bias.svg``; return the answer."""
    readings = Readings.read(root)
    said = answer(readings)
    manifest = read_manifest(root)
    with svg.style():
        image = figure(readings)
    labels = ", ".join(dict.fromkeys(readings.values["label"]))
    text = (
        f"{said}\n\n{remarks(readings)}\n\n![bias](bias.svg)\n\n"
        "Means over searches and their readings, 95 % intervals in brackets; what each column "
        "means: `bench show hypergradient_bias`. Readings were taken along the searches of "
        f"{labels}.\n\n{table(readings)}\n\nCommand: `{manifest.get('command', '')}`\n"
    )
    write_atomically(to / "summary.md", text.encode())
    write_atomically(to / "bias.csv", as_csv(readings.values).encode())
    write_atomically(to / "bias.svg", image.encode())
    return said
