"""The columns of the results: what each number is called, its unit, its digits, what it means."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.decision.sequential import Question
from bench.statistics import Interval
from bench.written import MISSING

COLLAPSE = 5 / 6
"""Share of weight-free edges from which on a derived cell counts as collapsed."""


@dataclass(frozen=True)
class Metric:
    """One number per run.

    Attributes
    ----------
    name
        The column, as ``contrast.metric`` names it.
    title, short
        In text and in narrow table headings.
    unit
        Written after an effect; may be empty.
    digits
        Decimals shown.
    better
        The direction that a researcher hopes for; empty where there is none.
    meaning
        One line for somebody who sees it for the first time.
    binary
        A run has it or has not (1 or 0): what is compared are rates.
    censored
        The time until something is reached: a finished run without it never got there.
    """

    name: str
    title: str
    short: str
    unit: str
    digits: int
    better: Literal["lower", "higher", ""]
    meaning: str
    binary: bool = False
    censored: bool = False

    @property
    def step(self) -> str:
        """The unit of a difference: percentages differ by points."""
        return "points" if self.unit == "%" else self.unit

    def text(self, value: float, signed: bool = False) -> str:
        """Write a value with this metric's digits."""
        return number(value, self.digits, signed)


def _m(
    name: str,
    title: str,
    short: str,
    unit: str,
    digits: int,
    better: Literal["lower", "higher", ""],
    meaning: str,
    binary: bool = False,
) -> tuple[str, Metric]:
    return name, Metric(name, title, short, unit, digits, better, meaning, binary)


METRICS: dict[str, Metric] = dict((
    _m("skip_count", "skip count", "skips", "edges", 1, "lower",
       "edges of the derived cell that are skip connections"),
    _m("skip_count_normal", "skip count of the normal cell", "normal skips", "edges", 1, "lower",
       "the same of the normal cell alone, in spaces that have normal and reduction cells"),
    _m("weight_free_share", "weight-free share", "weight-free", "", 2, "lower",
       "share of the derived cell's edges without weights: skip, pooling or none"),
    _m("collapsed", "collapse rate", "collapsed", "", 2, "lower",
       "a run has collapsed when at least five sixths of the edges of its derived cell have no "
       "weights (in NAS-Bench-201: at most one edge of six is a convolution)", binary=True),
    _m("worse_than_random", "rate of cells worse than a random one", "below random", "", 2, "lower",
       "the derived cell is truly worse than more than half of all cells: a cell drawn at random "
       "would probably have been better", binary=True),
    _m("true_accuracy", "true accuracy", "true acc.", "%", 2, "higher",
       "accuracy of the derived cell trained on its own: looked up in the truth table, or trained "
       "when the search had ended"),
    _m("regret", "regret", "regret", "points", 2, "lower",
       "true accuracy of the best cell of the table minus that of the derived cell"),
    _m("percentile", "percentile", "percentile", "%", 1, "higher",
       "share of the table's cells that are truly worse than the derived cell"),
    _m("tau", "τ by accuracy", "τ accuracy", "", 2, "higher",
       "Kendall's τ-b between the accuracy of sub-networks with inherited weights and their true "
       "accuracy; 1 is the true order, 0 none"),
    _m("tau_loss", "τ by loss", "τ loss", "", 2, "higher",
       "the same with the negative validation loss as score, which ties less"),
    _m("tau_parameters", "τ of the parameter count", "τ params", "", 2, "",
       "the same with the number of weights as score: what a search must beat to have learned "
       "anything about architectures"),
    _m("valid_accuracy", "supernet validation accuracy", "valid acc.", "%", 2, "higher",
       "accuracy of the supernet itself, mixture and all, at the end of the search"),
    _m("cost_seconds", "time", "time", "s", 0, "lower",
       "search and ranking of one run, wall clock"),
))  # fmt: skip


def reading(
    name: str,
    meaning: str,
    unit: str = "",
    digits: int = 3,
    better: Literal["lower", "higher", ""] = "",
    *,
    censored: bool = False,
) -> Metric:
    """Return what an instrument reads as a metric; ``*`` in the name stands for several."""
    return Metric(name, name, name, unit, digits, better, meaning, censored=censored)


COLUMNS: tuple[Metric, ...] = (
    reading("train_loss", "training loss of the last epoch", "nats", 3, "lower"),
    reading("train_accuracy", "training accuracy of the last epoch", "%", 2, "higher"),
    reading("tau_primary", "τ by the score that the ranking protocol names", "", 2, "higher"),
    reading("noise_ceiling", "τ of the truth with itself, over training seeds", "", 2, "higher"),
    *(
        reading(f"{score}_{name}", f"{what}, ranked by {score}", "", 2)
        for score in ("accuracy", "loss")
        for name, what in (
            ("tau_*", "τ of a part of the cells, or weighted"),
            ("spearman", "Spearman's ρ"),
            ("precision_at_*", "share of the best found"),
            ("best_rank_at_*", "rank of the best found"),
            ("regret", "regret of the supernet's favourite"),
        )
    ),
    reading("stopped_epoch", "epoch whose cell counts, where a search stopped itself", "epochs", 0),
    reading("ranked", "cells ranked", "cells", 0),
    reading("search_seconds", "time of the search", "s", 0, "lower"),
    reading("ranking_seconds", "time of the ranking", "s", 0, "lower"),
)
"""Further columns of the results."""


def known() -> dict[str, tuple[str, Metric]]:
    """Return every metric there is: name (or pattern) → where it comes from, and the metric."""
    from bench.contracts import registry  # loads the instruments, which is slow

    found = {name: ("results", entry) for name, entry in METRICS.items()}
    found |= {entry.name: ("results", entry) for entry in COLUMNS}
    for member in registry.names("instruments"):
        for entry in registry.load("instruments", member).measures:
            found.setdefault(entry.name, (member, entry))
    return found


def find(name: str) -> tuple[str, Metric] | None:
    """Return where a metric comes from, and the metric; None where nobody measures it."""
    if name in METRICS:
        return "results", METRICS[name]
    every = known()
    if name in every:
        return every[name]
    for pattern, (origin, entry) in every.items():
        if "*" in pattern and fnmatch.fnmatchcase(name, pattern):
            return origin, dataclasses.replace(entry, name=name, title=name, short=name)
    return None


def metric(name: str) -> Metric:
    """Return a metric by its name; what nobody declares is shown by its own name."""
    found = find(name)
    return found[1] if found else Metric(name, name, name, "", 3, "", "")


def resolve(name: str) -> str:
    """Return the name of a metric that is called by its heading in tables, ``skips``; else as it is."""
    headings = {entry.short: key for key, entry in METRICS.items()}
    return name if name in METRICS else headings.get(name, name)


def question(name: str, smallest: float | None) -> Question:
    """Return what is to be decided of a metric's paired differences."""
    return Question(binary=metric(name).binary, smallest=smallest)


def number(value: float | None, digits: int, signed: bool = False) -> str:
    """Write a number with a real minus sign; what is missing is a dash."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = round(value, digits) or 0.0  # no "−0.0"
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def bounds(
    interval: Interval, digits: int, template: str = "[{}, {}]", signed: bool = False
) -> str:
    """Write the bounds of an interval; empty where they are not defined."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    return template.format(
        number(interval.low, digits, signed), number(interval.high, digits, signed)
    )


def p_text(p: float) -> str:
    """Write a p value to two figures."""
    if not math.isfinite(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def listed(words: Sequence[str]) -> str:
    """Join words as in a sentence: a, b and c."""
    return (
        words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
    )


def plural(count: int, word: str) -> str:
    """Write a count with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
