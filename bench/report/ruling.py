"""The explanations of DARTS's failure, judged together: what the verdict page is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from bench.ablation.criteria import (
    Criterion,
    Decision,
    Explanation,
    Failed,
    Kind,
    judge,
    manipulated,
    together,
)
from bench.ablation.mistakes import first_error
from bench.ablation.yamlfile import dotted
from bench.metrics import bounds, metric, number, p_text, plural
from bench.ranking.correlation import tau_b
from bench.report import signals
from bench.report.contrast import values
from bench.report.matched import at_equal_level
from bench.report.summary import Summary
from bench.runs.manifest import MANIFEST

WORDS: dict[Kind, str] = {
    "confirmed": "Confirmed", "refuted": "Refuted", "undecided": "Undecided",
    "not judged": "Not judged",
}  # fmt: skip
SUPPORT: dict[Kind, str] = {
    "confirmed": "supports",
    "refuted": "speaks against",
    "undecided": "open",
}
"""What a criterion that is not the primary one does to the explanation."""


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
        limits = bounds(d.effect, digits, "interval {} to {}", signed=True)
        text = (
            f"{c.quantity} of {c.of} minus {control}: median "
            f"{number(d.effect.estimate, digits, signed=True)} ({limits or self.listed}; smallest "
            f"effect of interest {number(c.sign * c.smallest, digits, signed=True)}): beyond it in "
            f"{d.beyond} of {plural(d.seeds, 'seed')}, short of it in {d.short}"
        )
        return f"{text}. {self._follows()}"

    @property
    def listed(self) -> str:
        """The differences themselves, where they are too few for an interval."""
        digits = decimals(self.criterion)
        return ", ".join(number(v, digits, signed=True) for v in self.differences.values())

    @property
    def word(self) -> str:
        """What it says: of the primary criterion the answer, of another whether it supports."""
        primary = self.criterion.role == "primary"
        return self.decision.kind if primary else SUPPORT[self.decision.kind]

    def _follows(self) -> str:
        d, c = self.decision, self.criterion
        word = f"{self.word[0].upper()}{self.word[1:]}"
        if d.kind == "confirmed":
            return f"{word}."
        if d.kind == "refuted":
            if c.sign * d.effect.estimate > 0 and c.sign * min(d.effect.low, d.effect.high) > 0:
                return f"{word}: the effect is there, but smaller than would matter."
            return f"{word}: an effect that would matter is excluded."
        if d.more is None:
            return f"{word}, and out of reach of more seeds if they go on like this."
        return f"{word}: about {plural(d.more, 'more seed')} if they go on like this."


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
    failed: Failed
    kind: Kind
    p: float

    @property
    def primary(self) -> Judged:
        """The criterion that decides."""
        return next(j for j in self.criteria if j.criterion.role == "primary")

    @property
    def more(self) -> int | None:
        """Seeds that would decide the primary criterion, if they went on like those that are there."""
        return self.primary.decision.more

    @property
    def headline(self) -> str:
        """The verdict in a few words, with what is missing."""
        text = WORDS[self.kind]
        if self.kind == "not judged":
            return f"{text}: the baseline did not fail often enough"
        if self.kind == "undecided" and self.more:
            return f"{text}: needs about {plural(self.more, 'more seed')}"
        return text

    @property
    def check(self) -> str:
        """Say whether there was anything to explain: how often the baseline failed."""
        asked, found = self.explanation.failure, self.failed
        return (
            f"The baseline {asked.of} failed ({asked.metric}) in {found.failed} of "
            f"{plural(found.runs, 'search')}: a rate of at least {found.low:.2f} (95 %), "
            f"{'above' if found.enough else 'not above'} the {asked.above:g} that the file asks for"
        ).replace("searchs", "searches")


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
    found: list[tuple[Summary, Explanation, Failed]] = []
    for root in roots:
        summary = Summary.read(root)
        stated = summary.manifest.get("explanation")
        if not stated:
            raise ValueError(f"{root / MANIFEST}: its ablation file states no explanation")
        if (older := _older(stated)) is not None:
            raise ValueError(f"{root / MANIFEST}: {older}; {_anew(summary.manifest, root)}")
        try:
            explanation = Explanation.model_validate(stated)
        except ValidationError as error:
            place, message = first_error(error, Explanation, stated)
            raise ValueError(f"{root / MANIFEST}: explanation.{dotted(place)}: {message}") from None
        outcomes = values(summary.runs, explanation.failure.of, explanation.failure.metric)
        outcomes, looked = outcomes.sort_index(), bool(summary.manifest.get("until"))
        failed = manipulated(outcomes.tolist(), explanation.failure, looked)
        found.append((summary, explanation, failed))
    judged = [_judge(summary, explanation, len(found)) for summary, explanation, _ in found]
    kinds = together(
        [next(j.decision for j in own if j.criterion.role == "primary") for own in judged],
        [failed for _, _, failed in found],
    )
    return [
        Verdict(summary, explanation, own, failed, kind, p)
        for (summary, explanation, failed), own, (kind, p) in zip(found, judged, kinds, strict=True)
    ]


def _older(stated: Any) -> str | None:
    """Say what an explanation lacks that was stated before the present rules; None: nothing."""
    if not isinstance(stated, dict) or not isinstance(stated.get("criteria"), list):
        return None  # damaged, not old
    roles = [c.get("role") for c in stated["criteria"] if isinstance(c, dict)]
    lacking = [] if "failure" in stated else ["how often the baseline must have failed"]
    lacking += [] if "primary" in roles else ["which criterion is the primary one"]
    if not lacking:
        return None
    return f"its explanation was stated under older rules and does not say {' and '.join(lacking)}"


def _anew(manifest: dict[str, Any], root: Path) -> str:
    """Say which command states it under the present rules; sound runs there are not made again."""
    command = manifest.get("command") or f"python -m bench run FILE --output {root}"
    return f"`{command}` states it anew and keeps what runs it can"


def _judge(summary: Summary, explanation: Explanation, tests: int) -> tuple[Judged, ...]:
    """Judge every criterion of one explanation."""
    looked, judged = bool(summary.manifest.get("until")), []
    for criterion in explanation.criteria:
        d = differences(summary, criterion)
        asked = tests if criterion.role == "primary" else 1
        judged.append(Judged(criterion, d, judge(list(d.values()), criterion, asked, looked)))
    return tuple(judged)


def differences(summary: Summary, criterion: Criterion) -> dict[int, float]:
    """Return a criterion's difference for every seed that has what it needs.

    Infinite or NaN where what is timed was never reached by one, or by both.
    """
    if criterion.matched is not None:
        return at_equal_level(summary, criterion)
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
            read = {int(str(seed)): float(value) for seed, value in column.items()}
            return _censored(summary, label, criterion) | read
    found = _censored(summary, label, criterion)
    for seed, run in _readings(summary, label, criterion.metric).groupby("seed"):
        if criterion.when is not None:
            run = _window(summary, label, run, criterion)
        else:
            run = run[run["epoch"] == run["epoch"].max()]
        if not run.empty:
            found[int(str(seed))] = float(run["value"].mean())
    return found


def _censored(summary: Summary, label: str, criterion: Criterion) -> dict[int, float]:
    """Return infinity for every finished run where what is timed may never have been reached."""
    if not metric(criterion.metric).censored:
        return {}
    runs = summary.runs
    finished = runs[(runs["label"] == label) & (runs["status"] == "ok")]
    return {int(str(seed)): math.inf for seed in finished["seed"]}


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
    parts.append(
        f"{bad} of {plural(len(summary.runs), 'run')} failed"
        if bad
        else f"none of {plural(len(summary.runs), 'run')} failed"
    )
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
            f"## {verdict.headline}: {verdict.explanation.claim}",
            "",
            f"{verdict.check}.",
            "",
            f"`{name}`, {scale(verdict.summary)}; Holm p {p_text(verdict.p)}.",
            "",
            "| | criterion | median | interval, or the seeds | of interest | beyond / short / seeds | |",
            "|---|---|---:|---:|---:|---:|---|",
        ]
        for judged in verdict.criteria:
            c, d = judged.criterion, judged.decision
            digits = decimals(c)
            lines.append(
                f"| {c.role} | {c.says} (`{c.quantity}`) | "
                f"{number(d.effect.estimate, digits, signed=True)} | "
                f"{bounds(d.effect, digits, signed=True) or judged.listed or '—'} | "
                f"{number(c.sign * c.smallest, digits, signed=True)} | "
                f"{d.beyond} / {d.short} / {d.seeds} | {judged.word} |"
            )
        lines.append("")
    return "\n".join(lines)


def meaning(name: str) -> str:
    """Return what a column of the results or a reading means."""
    return metric(name).meaning
