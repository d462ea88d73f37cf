"""One run of an output folder as a row of the table of runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from bench.metrics import COLLAPSE
from bench.runs import store
from bench.runs.shapes import FOLDER

MISSING_RUN = "missing"
"""Status of a run that was planned and has no sound result: never started, killed or damaged."""


def name_of(folder: str) -> dict[str, Any]:
    named = FOLDER.fullmatch(folder)
    assert named is not None  # checked when the manifest was read
    return {"label": named["label"], "seed": int(named["seed"]), "folder": folder}


def read_run(path: Path) -> tuple[dict[str, Any] | None, str]:
    """Return a run's result; where there is none to believe, why."""
    try:
        result = store.read_result(path)
        return result, "" if result is not None else _why_missing(path)
    except OSError as error:
        return None, f"its result cannot be read ({error.strerror})"


def value(folder: Path, name: str) -> float:
    """Return one number of a run that has ended; NaN where it failed or has no such number."""
    row = row_of(folder.name, *read_run(folder))
    found = row.get(name) if row["status"] == "ok" else None
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else math.nan


def row_of(folder: str, result: dict[str, Any] | None, problem: str) -> dict[str, Any]:
    """Return one run as a row; what was planned and is not there becomes a missing run."""
    row = name_of(folder)
    if result is None:
        return row | {"status": MISSING_RUN, "error": problem}
    plain = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    row |= {"status": str(result.get("status", "failed")), "error": result.get("error", "")}
    row |= {key: value for key, value in plain.items() if key not in row}
    stopped = result.get("stopped") or {}
    row |= {"stopped_epoch": stopped.get("epoch"), "stopped_reason": stopped.get("reason")}
    share = plain.get("weight_free_share")
    row["collapsed"] = None if share is None else float(share >= COLLAPSE - 1e-9)
    percentile = plain.get("percentile")
    row["worse_than_random"] = None if percentile is None else float(percentile < 50)
    search, ranking = plain.get("search_seconds"), plain.get("ranking_seconds")
    row["cost_seconds"] = plain.get("seconds") if search is None else search + (ranking or 0.0)
    return row


def _why_missing(path: Path) -> str:
    if path.is_symlink():
        return "a link stands in its place; links are not followed"
    if problem := store.problem(path):
        return problem
    last = store.read_progress(path)
    if last.get("error"):
        return f"no result; stopped by: {last['error']}"
    epoch = last.get("epoch")
    return "no result; never started" if epoch is None else f"no result; last seen in epoch {epoch}"


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    first = ["label", "seed", "status", "error", "folder"]
    return list(dict.fromkeys([*first, *(key for row in rows for key in row)]))


def numeric(runs: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers and may be compared."""
    return [
        str(name)
        for name in runs.columns
        if name not in ("seed", "schema")
        and pd.api.types.is_numeric_dtype(runs[name])
        and not pd.api.types.is_bool_dtype(runs[name])
    ]
