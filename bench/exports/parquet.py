"""Everything as parquet: a file per table, readable by pandas, polars, DuckDB, R and others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.files import write_atomically
from bench.report.summary import Summary


def export(summary: Summary, to: str) -> str:
    """Write variants, runs, history, alphas and rankings as parquet into the folder ``to``."""
    written = frames(summary)
    for name, frame in written.items():
        write_atomically(Path(to) / f"{name}.parquet", typed(frame).to_parquet(index=False))
    return f"{', '.join(written)} as parquet in {to}"


def frames(summary: Summary) -> dict[str, pd.DataFrame]:
    """Return every table: one row per variant, run, reading, edge and operation, ranked cell."""
    scores = [
        frame.assign(label=label, seed=seed)
        for label in summary.labels
        for seed, frame in summary.rankings(label).items()
    ]
    columns = ["arch", "accuracy", "loss", "truth", "parameters", "label", "seed"]
    rankings = pd.concat(scores, ignore_index=True) if scores else pd.DataFrame(columns=columns)
    return {
        "variants": summary.variants,
        "runs": summary.runs,
        "history": summary.history,
        "alphas": summary.alphas,
        "rankings": rankings,
    }


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Give every column one type: numbers and truth values where all are, text otherwise.

    A failed run has None where others have numbers, and parquet does not take what is mixed.
    """
    made = frame.copy()
    for name in made.columns:
        if made[name].dtype != object:
            continue
        present = made[name].dropna()
        if len(present) and present.map(lambda v: isinstance(v, bool)).all():
            made[name] = made[name].astype("boolean")
        elif present.map(lambda v: isinstance(v, int | float)).all():
            made[name] = made[name].astype("Float64")
        else:
            made[name] = made[name].map(str, na_action="ignore").astype("string")
    return made
