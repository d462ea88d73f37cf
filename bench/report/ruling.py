"""The explanations of DARTS's failure, judged together: what the verdict page is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import ValidationError

from bench.ablation.criteria import FEWEST, Criterion, Decision, Explanation, Kind, judge, together
from bench.ablation.file import first_error
from bench.ablation.yamlfile import dotted
from bench.metrics import METRICS, bounds, number, p_text, plural
from bench.ranking.correlation import tau_b
from bench.report import signals, svg
from bench.report.contrast import values
from bench.report.summary import MANIFEST, Summary

WORDS: dict[Kind, str] = {
    "confirmed": "Confirmed", "refuted": "Refuted", "undecided": "Undecided",
}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One criterion and what the runs say of it.

    Attributes
    ----------
    differences
        Seed → ``of − against`` (or ``of − value``).
    """

    criterion: Criterion
    differences: dict[int, float]
    decision: Decision

    @property
    def sentence(self) -> str:
        """What was measured and what follows from it."""
        c, d = self.criterion, self.decision
        if not d.seeds:
            return f"{c.quantity} was not measured in any pair of finished runs."
        digits = decimals(c)
        control = c.against or (f"{c.value:g}" if c.value else "zero")
        limits = bounds(d.effect, digits, "95 % interval {} to {}", signed=True)
        text = (
            f"{c.quantity} of {c.of} minus {control}: {number(d.effect.estimate, digits, signed=True)} "
            f"({limits or 'no interval'}; {plural(d.seeds, 'seed')}; smallest effect of interest "
            f"{number(c.sign * c.smallest, digits, signed=True)})"
        )
        return f"{text}. {self._follows()}"

    def _follows(self) -> str:
        d, c = self.decision, self.criterion
        if d.kind == "confirmed":
            return "Confirmed."
        if d.kind == "refuted":
            if d.effect.excludes(0.0) and c.sign * d.effect.estimate > 0:
                return "Refuted: the effect is there, but smaller than would matter."
            return "Refuted: the interval excludes an effect that would matter."
        if d.seeds < FEWEST:
            return f"Undecided: fewer than {FEWEST} seeds."
        if d.more is None:
            return "Undecided, and out of reach of more seeds at this spread."
        return f"Undecided: about {plural(d.more, 'more seed')} at this mean and spread."


@dataclass(frozen=True)
class Verdict:
    """One explanation, judged.

    Attributes
    ----------
    p
        Holm's, over the explanations judged together.
    more
        Seeds that would decide what is undecided, if means and spreads stayed; None: unknown.
    """

    summary: Summary
    explanation: Explanation
    criteria: tuple[Judged, ...]
    kind: Kind
    p: float

    @property
    def more(self) -> int | None:
        """Seeds that would decide every undecided criterion, at their means and spreads."""
        needed = [j.decision.more for j in self.criteria if j.decision.kind == "undecided"]
        known = [n for n in needed if n is not None]
        return max(known) if known and len(known) == len(needed) else None

    @property
    def headline(self) -> str:
        """The verdict in a few words, with what is missing."""
        text = WORDS[self.kind]
        if self.kind == "undecided":
            if all(j.decision.kind == "confirmed" for j in self.criteria):
                return f"{text}: every criterion holds, but not after Holm's correction"
            more = self.more
            return f"{text}: needs about {plural(more, 'more seed')}" if more else text
        if self.kind == "refuted":
            failed = sum(j.decision.kind == "refuted" for j in self.criteria)
            return f"{text} on {failed} of {len(self.criteria)} criteria"
        return text


def decimals(criterion: Criterion) -> int:
    """Return how many decimals a criterion's numbers deserve: two figures of the smallest effect."""
    return min(6, max(1, 1 - math.floor(math.log10(criterion.smallest))))


def read(roots: Sequence[Path]) -> list[Verdict]:
    """Read output folders whose ablation states an explanation and judge them together.

    Raises
    ------
    ValueError
        When a folder is no output folder, or its ablation states no explanation.
    """
    found: list[tuple[Summary, Explanation, list[Judged]]] = []
    for root in roots:
        summary = Summary.read(root)
        stated = summary.manifest.get("explanation")
        if not stated:
            raise ValueError(f"{root / MANIFEST}: its ablation file states no explanation")
        try:
            explanation = Explanation.model_validate(stated)
        except ValidationError as error:
            place, message = first_error(error)
            raise ValueError(f"{root / MANIFEST}: explanation.{dotted(place)}: {message}") from None
        judged = []
        for criterion in explanation.criteria:
            d = differences(summary, criterion)
            judged.append(Judged(criterion, d, judge(list(d.values()), criterion)))
        found.append((summary, explanation, judged))
    kinds = together([[j.decision for j in judged] for _, _, judged in found])
    return [
        Verdict(summary, explanation, tuple(judged), kind, p)
        for (summary, explanation, judged), (kind, p) in zip(found, kinds, strict=True)
    ]


def differences(summary: Summary, criterion: Criterion) -> dict[int, float]:
    """Return a criterion's difference for every seed that has what it needs."""
    ours = per_seed(summary, criterion.of, criterion)
    if criterion.against is None:
        return {seed: value - criterion.value for seed, value in sorted(ours.items())}
    theirs = per_seed(summary, criterion.against, criterion)
    return {seed: ours[seed] - theirs[seed] for seed in sorted(set(ours) & set(theirs))}


def per_seed(summary: Summary, label: str, criterion: Criterion) -> dict[int, float]:
    """Return the number of every finished run of a variant that a criterion is about."""
    if criterion.beside is not None:
        return _agreement(summary, label, criterion)
    if criterion.when is None:
        column = values(summary.runs, label, criterion.metric)
        if not column.empty:
            return {int(str(seed)): float(value) for seed, value in column.items()}
    found: dict[int, float] = {}
    for seed, run in _readings(summary, label, criterion.metric).groupby("seed"):
        if criterion.when is not None:
            run = _window(summary, label, run, criterion)
        else:
            run = run[run["epoch"] == run["epoch"].max()]
        if not run.empty:
            found[int(str(seed))] = float(run["value"].mean())
    return found


def _agreement(summary: Summary, label: str, criterion: Criterion) -> dict[int, float]:
    """Return τ-b of two readings over the epochs of every finished run that has both."""
    one, other = (
        _readings(summary, label, name).set_index(["seed", "epoch"])["value"]
        for name in (criterion.metric, str(criterion.beside))
    )
    both = pd.concat({"one": one, "other": other}, axis=1).dropna().reset_index()
    found: dict[int, float] = {}
    for seed, run in both.groupby("seed"):
        own = _window(summary, label, run, criterion)
        tau = tau_b(own["one"], own["other"]) if len(own) >= signals.SHORTEST else math.nan
        if math.isfinite(tau):
            found[int(str(seed))] = tau
    return found


def _readings(summary: Summary, label: str, metric: str) -> pd.DataFrame:
    history = summary.history
    return history[
        (history["label"] == label) & (history["status"] == "ok") & (history["metric"] == metric)
    ]


def _window(summary: Summary, label: str, run: pd.DataFrame, criterion: Criterion) -> pd.DataFrame:
    """Keep the epochs that a criterion is about; a search that stopped early keeps its own."""
    if criterion.when is None:
        return run
    planned = (summary.settings(label).get("search") or {}).get("epochs")
    share = run["epoch"] / (planned or run["epoch"].max())
    kept: pd.DataFrame = run[(share > criterion.when[0]) & (share <= criterion.when[1])]
    return kept


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
            x = float(np.clip(seed_value * unit, -LIMIT, LIMIT))
            axes.plot(x, row + 0.22, ".", color=svg.FOREGROUND, alpha=0.4, ms=4)
        if not math.isfinite(effect.estimate):
            continue
        colour = {"confirmed": svg.PALETTE[2], "refuted": svg.PALETTE[1]}.get(
            judged.decision.kind, svg.PALETTE[0]
        )
        centre = float(np.clip(effect.estimate * unit, -LIMIT, LIMIT))
        axes.plot(centre, row, "D", color=colour, ms=6, zorder=3)
        if math.isfinite(effect.low):
            ends = sorted(np.clip([effect.low * unit, effect.high * unit], -LIMIT, LIMIT).tolist())
            axes.hlines(row, ends[0], ends[1], color=colour, lw=2)
    labels = [svg.shortened(f"{i + 1}. {j.criterion.quantity}", 40)
              for i, j in enumerate(verdict.criteria)]  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(-LIMIT - 0.3, LIMIT + 0.3)
    axes.grid(visible=False)


MOST = 3
"""Readings that are drawn along the search."""


def paths(verdict: Verdict, name: str) -> str:
    """Draw the readings of the criteria along the search, a line per seed, a panel per reading."""
    history = verdict.summary.history
    metrics = list(dict.fromkeys(
        name for j in verdict.criteria for name in (j.criterion.metric, j.criterion.beside)
        if name is not None and name in set(history["metric"])
    ))[:MOST]  # fmt: skip
    if not metrics:
        return ""
    labels = verdict.summary.labels
    colours = svg.colours(labels)
    figure = svg.figure(9.6, 2.7)
    panels = figure.subplots(1, MOST)  # always as many, so that all figures have one scale
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        for label in labels:
            rows = history[(history["label"] == label) & (history["metric"] == metric)]
            for _, run in rows.groupby("seed"):
                axes.plot(run["epoch"], run["value"], color=colours[label], lw=0.6, alpha=0.4)
            mean = rows.groupby("epoch")["value"].mean()
            axes.plot(mean.index, mean, color=colours[label], lw=2, label=label)
        axes.set_title(svg.shortened(metric, 34))
        axes.set_xlabel("epoch")
    panels[len(metrics) - 1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return svg.to_svg(figure, name, f"readings along the search: {', '.join(metrics)}")


def scale(summary: Summary) -> str:
    """Say at which scale an ablation was run: images, size, epochs, seeds, truth, failures."""
    settings = summary.settings(summary.labels[0])
    space, search = settings.get("space") or {}, settings.get("search") or {}
    first: dict[str, Any] = next(iter(summary.results.values()), {})
    data, truth = first.get("data") or {}, first.get("truth") or {}
    size = ", ".join(f"{k} {space[k]}" for k in ("channels", "cells", "layers") if k in space)
    resolution = (settings.get("data") or {}).get("resolution")
    parts = [
        f"{data.get('images', '?')} images of {data.get('label') or data.get('dataset', '?')}"
        + (f" at {resolution}x{resolution}" if resolution else ""),
        f"{space.get('name', '?')} ({size})",
        f"{search.get('epochs', '?')} epochs",
        plural(summary.runs["seed"].nunique(), "seed"),
    ]
    if truth:
        parts.append(f"truth {truth.get('dataset')} {truth.get('split')} {truth.get('budget')}")
    bad = int((summary.runs["status"] != "ok").sum())
    parts.append(f"{bad} of {plural(len(summary.runs), 'run')} failed" if bad else
                 f"none of {plural(len(summary.runs), 'run')} failed")  # fmt: skip
    return "; ".join(parts)


def lead_table(verdicts: Sequence[Verdict], label: str | None = None) -> tuple[pd.DataFrame, int]:
    """Return which signal leads the fall of true accuracy, over the searches of all folders.

    The same search may be in several folders; it is counted once.

    Parameters
    ----------
    label
        The variant that is looked at; None: what the first contrast compares with.

    Returns
    -------
    tuple
        `signals.table`, and how many searches there were, falling or not.
    """
    if not verdicts:
        return pd.DataFrame(), 0
    label = label or str(verdicts[0].summary.manifest["contrast"]["against"])
    merged: dict[int, pd.DataFrame] = {}
    for verdict in verdicts:
        own = signals.frame(verdict.summary)
        for seed, run in own[own["label"] == label].groupby("seed"):
            run = run.dropna(axis=1, how="all")
            kept = merged.get(int(str(seed)))
            if kept is None:
                merged[int(str(seed))] = run
            elif kept[signals.TRUE].tolist() == run[signals.TRUE].tolist():  # the same search
                new = [c for c in run if c not in kept or c == "epoch"]
                merged[int(str(seed))] = kept.merge(run[new], on="epoch", how="left")
    if not merged:
        return pd.DataFrame(), 0
    every = pd.concat(merged.values(), ignore_index=True)
    return signals.table(signals.leads(every)), len(merged)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as Markdown: a table of criteria below a sentence each."""
    lines = []
    for verdict in verdicts:
        name = verdict.summary.manifest["name"]
        lines += [
            f"## {verdict.headline}: {verdict.explanation.claim}", "",
            f"`{name}`, {scale(verdict.summary)}; Holm p {p_text(verdict.p)}.", "",
            "| criterion | effect | 95 % interval | of interest | seeds | |",
            "|---|---:|---:|---:|---:|---|",
        ]  # fmt: skip
        for judged in verdict.criteria:
            c, d = judged.criterion, judged.decision
            digits = decimals(c)
            lines.append(
                f"| {c.says} (`{c.quantity}`) | {number(d.effect.estimate, digits, signed=True)} | "
                f"{bounds(d.effect, digits, signed=True) or '—'} | "
                f"{number(c.sign * c.smallest, digits, signed=True)} | {d.seeds} | {d.kind} |"
            )
        lines.append("")
    return "\n".join(lines)


def meaning(metric: str) -> str:
    """Return what a column of the results means; empty for readings of instruments."""
    return METRICS[metric].meaning if metric in METRICS else ""
