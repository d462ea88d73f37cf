"""The tables: on the terminal, and as Markdown and CSV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any

import pandas as pd
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bench import terminal
from bench.metrics import MISSING, bounds, duration, listed, metric, number, p_text
from bench.report.arms import describe
from bench.report.notes import arithmetic, notes
from bench.report.summary import Summary
from bench.statistics import Interval

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would calculate."""
WIDTH = 100
TERMINAL = (
    "skip_count",
    "weight_free_share",
    "true_accuracy",
    "regret",
    "tau",
    "tau_loss",
    "tau_parameters",
)
NARROW = {"weight_free_share": "w-free", "tau_parameters": "τ par."}
LEFT_OUT_FIRST = (
    "τ par.", "regret", "w-free", "τ loss", "time", "τ accuracy", "ok", "skips", "coll.",
)  # fmt: skip
"""Headings that a narrow terminal does without, in this order."""
RUN_WIDTH = 100
"""From so many columns on a run's line has regret and τ's interval."""
NO_BOUNDS = ("regret", "tau_parameters")
"""Regret is true accuracy mirrored; the parameter count is the same for all seeds."""


def interval(row: pd.Series[Any], name: str) -> Interval:
    """Return a metric of a variant with its bounds."""
    return Interval(
        *(float(row.get(key, float("nan"))) for key in (name, f"{name}_low", f"{name}_high"))
    )


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def as_csv(frame: pd.DataFrame, digits: str | None = None) -> str:
    """Return a frame as CSV; what begins like a spreadsheet formula is made text."""
    columns = [
        frame.iloc[:, i]
        if pd.api.types.is_numeric_dtype(frame.iloc[:, i])
        else frame.iloc[:, i].map(_no_formula)
        for i in range(frame.shape[1])
    ]
    safe = pd.concat(columns, axis=1) if columns else frame
    buffer = io.StringIO()
    header = [_no_formula(str(name)) for name in frame.columns]
    safe.to_csv(buffer, index=False, header=header, float_format=digits)
    return buffer.getvalue()
