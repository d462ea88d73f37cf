"""One variant against another: paired differences by seed, and the sentence that answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.decision.sequential import Decision
from bench.metrics import Metric, bounds, listed, metric, number, p_text, plural
from bench.report import decided
from bench.statistics import (
    UNDEFINED,
    Interval,
    cliffs_delta,
    paired_difference,
    paired_sign_flip,
    probability_of_improvement,
    seeds_needed,
    too_few_seeds,
)

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """One variant against another on one metric, paired by seed.

    Attributes
    ----------
    seeds
        Those on which both variants have a number.
    planned
        How many seeds both variants were to have.
    differences
        ``of − against``, per seed.
    difference
        Their mean with its 95 % bootstrap interval; bounds are NaN below two pairs.
    p, floor
        Exact two-sided sign-flip test, and the smallest p that these pairs could have given.
    improvement, delta
        P(of > against) and Cliff's δ over all values of either variant, paired or not.
    """

    metric: str
    of: str
    against: str
    seeds: tuple[int, ...]
    planned: int
    differences: tuple[float, ...]
    difference: Interval
    p: float
    floor: float
    improvement: float
    delta: float

    @property
    def ties(self) -> int:
        """How many pairs do not differ."""
        return sum(abs(value) < 1e-12 for value in self.differences)


def values(runs: pd.DataFrame, label: str, name: str) -> pd.Series[float]:
    """Return a variant's finished, finite values of a metric, by seed."""
    if name not in runs:
        return pd.Series(dtype=float)
    mine = (runs["label"] == label).to_numpy() & (runs["status"] == "ok").to_numpy()
    found = pd.to_numeric(runs[name][mine], errors="coerce").astype(float)  # of one column: cheap
    column = found.set_axis(pd.Index(runs["seed"][mine], name="seed"))
    return column[np.isfinite(column) & ~column.index.duplicated()]


def compare(runs: pd.DataFrame, name: str, of: str, against: str) -> Comparison:
    """Compare two variants of one table of runs."""
    planned = set(runs.loc[runs["label"] == of, "seed"]) & set(
        runs.loc[runs["label"] == against, "seed"]
    )
    return pair(
        values(runs, of, name), values(runs, against, name), name, of, against, len(planned)
    )


def pair(
    ours: pd.Series[float], theirs: pd.Series[float], name: str, of: str, against: str, planned: int
) -> Comparison:
    """Compare two series of one number per seed."""
    seeds = tuple(sorted(int(seed) for seed in set(ours.index) & set(theirs.index)))
    x = np.array([ours[seed] for seed in seeds], dtype=float)
    y = np.array([theirs[seed] for seed in seeds], dtype=float)
    d: NDArray[np.float64] = x - y
    interval = paired_difference(x, y, seed=0) if seeds else UNDEFINED
    if len(seeds) < seeds_needed():  # the bootstrap's bounds would be the extremes, called 95 %
        interval = Interval(interval.estimate, math.nan, math.nan)
    test = paired_sign_flip(d, seed=0)
    return Comparison(
        name,
        of,
        against,
        seeds,
        planned,
        tuple(float(v) for v in d),
        interval,
        test.p,
        test.floor,
        probability_of_improvement(ours, theirs),
        cliffs_delta(ours, theirs),
    )


FAILURES = {
    "worse_than_random": "are worth less than one drawn at random",
    "collapsed": "have collapsed (five sixths of the edges without weights)",
}
"""Metrics of 0 and 1 that say what went wrong with a cell, in words."""


@dataclass(frozen=True)
class Verdict:
    """The answer to the question of an ablation.

    Attributes
    ----------
    kind
        ``supported``, ``opposite``, ``unclear``, ``too_few`` or ``unmeasured``; where seeds were
        added until it was decided ``supported``, ``opposite``, ``equivalent`` or ``undecided``.
    headline
        A few words.
    effect, test, caveats
        One sentence each; may be empty.
    counts
        How often cells failed, in numbers that need no statistics; empty where it is not known.
    decision, more
        Where seeds were added until it was decided: what was decided, and how many more pairs it
        would take (0: none; None: out of reach).
    """

    kind: str
    headline: str
    effect: str
    test: str
    caveats: str
    comparison: Comparison
    decision: Decision | None = None
    more: int | None = None
    counts: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything but the headline, in the order in which it is read."""
        found = [self.counts, self.effect]
        if metric(self.comparison.metric).binary:  # the effect is in counts by itself
            found.reverse()
        first, *others = (part for part in (*found, self.test, self.caveats) if part)
        return first, *(f"{part[:1].upper()}{part[1:]}" for part in others)

    @property
    def sentence(self) -> str:
        """Everything in a row."""
        return " ".join((f"{self.headline}:", *self.sentences))


def decide(runs: pd.DataFrame, contrast: dict[str, Any], looks: list[int] | None = None) -> Verdict:
    """Answer the primary contrast of an ablation from its runs.

    The contrast was stated before anything ran, so its p is not corrected for other comparisons.
    Supported (or opposite) needs both: an interval that leaves out 0 and p ≤ 0.05.

    Parameters
    ----------
    runs
        A row per run (`Summary.runs`).
    contrast
        ``metric``, ``of``, ``against``, ``expect`` and perhaps ``smallest``, as the manifest holds them.
    looks
        Where seeds were added until it was decided: the seeds in their order. The answer is then that of
        `bench.decision.sequential`.

    Returns
    -------
    Verdict
        The kind of answer, its sentences, and the comparison that it rests on.
    """
    of, against, expect = contrast["of"], contrast["against"], contrast.get("expect") or "different"
    measure = metric(contrast["metric"])
    result = compare(runs, measure.name, of, against)
    caveats = _failures(runs, result)
    if not result.seeds:
        return Verdict(
            "unmeasured",
            "No answer",
            _why_unmeasured(runs, measure, of, against),
            "",
            caveats,
            result,
        )
    counts = _counts(runs, result)
    if looks is not None and (found := decided.answer(runs, contrast, looks)):
        return Verdict(caveats=caveats, comparison=result, counts=counts, **found)
    effect, low = result.difference.estimate, result.difference
    direction = "lower" if effect < 0 else "higher"
    clear = low.excludes(0.0) and result.p <= ALPHA
    few = too_few_seeds(len(result.seeds) - result.ties)
    if clear:
        kind = "supported" if expect in ("different", direction) else "opposite"
        headline = {
            "different": f"Yes, {measure.title} differs",
            direction: f"Yes, {measure.title} is {direction} as expected",
        }.get(expect, f"No, the opposite: {measure.title} is {direction}, expected {expect}")
    elif len(result.seeds) < seeds_needed():
        kind, headline = "too_few", "Too few seeds to conclude"
    else:
        kind, headline = "unclear", f"No difference in {measure.title} shown"
    return Verdict(
        kind,
        headline,
        _effect(result, measure, expect),
        _test(result, few),
        caveats,
        result,
        counts=counts,
    )


def _counts(runs: pd.DataFrame, result: Comparison) -> str:
    """Say how often the cells of either variant failed, among the pairs that are compared."""
    total, texts = len(result.seeds), []
    for name, what in FAILURES.items():
        mine = [values(runs, label, name) for label in (result.against, result.of)]
        if name == result.metric or any(not set(result.seeds) <= set(v.index) for v in mine):
            continue
        theirs, ours = (int(v[list(result.seeds)].sum()) for v in mine)
        if not theirs + ours:
            continue
        texts.append(
            f"{theirs} of {total} cells of {result.against} {what}, {ours} of {total} of {result.of}"
        )
    return f"{'; '.join(texts)}." if texts else ""


def _effect(result: Comparison, measure: Metric, expect: str) -> str:
    """Say how large the difference is, in the direction that it has."""
    effect = result.difference
    unit = f" {measure.step}" if measure.step else ""
    size = measure.text(abs(effect.estimate))
    if size == measure.text(0.0):
        statement = f"{measure.title} of {result.of} equals that of {result.against} on average"
    else:
        direction = "below" if effect.estimate < 0 else "above"
        statement = (
            f"{measure.title} of {result.of} is {size}{unit} {direction} that of {result.against}"
        )
        if expect in ("lower", "higher") and (effect.estimate < 0) != (expect == "lower"):
            statement += f" (expected: {expect})"
    interval = bounds(effect, measure.digits, "95 % interval {} to {}", signed=True)
    includes = ""
    if interval and not effect.excludes(0.0):
        includes = ", which includes no difference"
    if not interval:
        each = ", ".join(measure.text(value, signed=True) for value in result.differences)
        interval = f"{each}: too few for an interval"
    return (
        f"{statement} ({interval}{includes}; mean over {plural(len(result.seeds), 'paired seed')})."
    )


def _test(result: Comparison, few: str | None) -> str:
    """Say what the test says, and what it could have measure at best."""
    text = f"Sign-flip p = {p_text(result.p)}".replace("= <", "<")
    ties = f", {plural(result.ties, 'pair')} tied" if result.ties else ""
    if few is None:
        return f"{text}{ties}."
    if result.ties == len(result.seeds):
        return "All pairs are tied: there is nothing to test."
    floor = number(result.floor, 4).rstrip("0").rstrip(".")
    where = "the pairs that differ" if result.ties else plural(len(result.seeds), "pair")
    more = seeds_needed()
    return (
        f"{text}{ties}; with {where} it cannot fall below {floor}: at least {more} paired seeds "
        f"that differ are needed to conclude at {ALPHA:g}."
    )


def _failures(runs: pd.DataFrame, result: Comparison) -> str:
    """Count what failed and what the comparison lost by it; says so when nothing failed, too."""
    bad = runs[runs["status"] != "ok"]
    if bad.empty:
        return f"None of {plural(len(runs), 'run')} failed."
    kinds = listed(
        [f"{n} {str(kind).replace('_', ' ')}" for kind, n in bad["status"].value_counts().items()]
    )
    text = f"{len(bad)} of {plural(len(runs), 'run')} did not finish ({kinds})"
    if lost := result.planned - len(result.seeds):
        are = "is" if lost == 1 else "are"
        text += f"; {lost} of {result.planned} planned pairs {are} missing here"
        text += ", so the effect holds for the rest only"
    return f"{text}."


def _why_unmeasured(runs: pd.DataFrame, measure: Metric, of: str, against: str) -> str:
    for label in (of, against):
        mine = runs[runs["label"] == label]
        if mine.empty:
            return f"{label} was not run."
        if not (mine["status"] == "ok").any():
            return f"no run of {label} finished."
        if values(runs, label, measure.name).empty:
            return f"{measure.title} was not measured in any run of {label}."
    return f"{of} and {against} have no finished seed in common."
