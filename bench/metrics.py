"""The columns of the results: what each number is called, its unit, its digits, what it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.statistics import Interval

MISSING = "—"
"""Shown where there is no number."""

SHORT = {
    "none": "none", "skip_connect": "skip", "nor_conv_1x1": "1x1", "nor_conv_3x3": "3x3",
    "avg_pool_3x3": "pool", "max_pool_3x3": "max", "sep_conv_3x3": "sep3", "sep_conv_5x5": "sep5",
    "dil_conv_3x3": "dil3", "dil_conv_5x5": "dil5",
}  # fmt: skip
"""What operations are called where there is little room."""

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
    """

    name: str
    title: str
    short: str
    unit: str
    digits: int
    better: Literal["lower", "higher", ""]
    meaning: str

    def text(self, value: float, signed: bool = False) -> str:
        """Write a value with this metric's digits."""
        return number(value, self.digits, signed)


def _m(
    name: str, title: str, short: str, unit: str, digits: int,
    better: Literal["lower", "higher", ""], meaning: str,
) -> tuple[str, Metric]:  # fmt: skip
    return name, Metric(name, title, short, unit, digits, better, meaning)


METRICS: dict[str, Metric] = dict((
    _m("skip_count", "skip count", "skips", "edges", 1, "lower",
       "edges of the derived cell that are skip connections"),
    _m("skip_count_normal", "skip count of the normal cell", "normal skips", "edges", 1, "lower",
       "the same of the normal cell alone, in spaces that have normal and reduction cells"),
    _m("weight_free_share", "weight-free share", "weight-free", "", 2, "lower",
       "share of the derived cell's edges without weights: skip, pooling or none"),
    _m("collapsed", "collapse rate", "collapsed", "", 2, "lower",
       "a run has collapsed when at least five sixths of the edges of its derived cell have no "
       "weights (in NAS-Bench-201: at most one edge of six is a convolution)"),
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


def metric(name: str) -> Metric:
    """Return a metric; a column that is not listed here is shown by its own name."""
    return METRICS.get(name) or Metric(name, name, name, "", 3, "", "")


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


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def listed(words: Sequence[str]) -> str:
    """Join words as in a sentence: a, b and c."""
    return (
        words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
    )


def plural(count: int, word: str) -> str:
    """Write a count with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
