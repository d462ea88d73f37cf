"""Scores from anybody's code, ranked against a truth: the panel, the baseline and the protocol."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import files
from bench.contracts.identity import digest
from bench.contracts.truth import Truth
from bench.ranking.panel import Panel, panel

LARGEST = 64_000_000
"""Bytes of a file of scores; one of all of NAS-Bench-201 has a megabyte."""


@dataclass(frozen=True)
class Listed:
    """Scores from a file, beside the truth.

    Attributes
    ----------
    table
        One row per cell that has a score and a truth: ``arch``, ``score``, ``truth``,
        ``parameters``.
    unknown
        How many cells of the file the truth has no number for; they are left out.
    unscored
        How many cells the truth knows and the file does not.
    digest
        Of the cells, the truth and the measure: two τ are comparable where it is the same.
    """

    table: pd.DataFrame
    panel: Panel
    unknown: int
    unscored: int
    digest: str

    def flat(self) -> dict[str, Any]:
        """Return flat numbers by name."""
        return {
            "protocol": self.digest,
            "unknown": self.unknown,
            "unscored": self.unscored,
            **self.panel.flat(),
        }


def read(path: Path, truth: Truth, column: str = "score") -> dict[str, float]:
    """Read a CSV file with the columns ``arch`` and ``score``: cell → score, NaN where it has none.

    Raises
    ------
    ValueError
        One line naming file, line and column: what is no cell of the truth's space, no number, or
        there twice.
    """
    try:
        text = files.read_text(path, LARGEST)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    rows = csv.DictReader(io.StringIO(text))
    for needed in ("arch", column):
        if needed not in (rows.fieldnames or []):
            named = ", ".join(rows.fieldnames or []) or "none"
            raise ValueError(f"{path}:1: no column {needed!r}; columns: {named:.200}")
    found: dict[str, float] = {}
    lines: dict[str, int] = {}
    for row in rows:
        at = f"{path}:{rows.line_num}"
        try:
            cell = truth.space.spell((row["arch"] or "").strip())
        except ValueError as error:
            raise ValueError(f"{at}: arch: {error}") from None
        if cell in found:
            raise ValueError(f"{at}: arch: the cell of line {lines[cell]} again")
        said = (row[column] or "").strip()
        try:
            found[cell] = float(said) if said else math.nan
        except ValueError:
            raise ValueError(f"{at}: {column}: {said!r} is no number") from None
        lines[cell] = rows.line_num
    return found


def rank(
    scores: dict[str, float],
    truth: Truth,
    *,
    lower_is_better: bool = False,
    resamples: int = 500,
    seed: int = 0,
) -> Listed:
    """Rank scores of cells against a truth.

    Parameters
    ----------
    scores
        Cell, as the truth's space writes it → score.
    lower_is_better
        For losses and the like: τ is that of the negative score.

    Raises
    ------
    ValueError
        When fewer than two cells have both a score and a truth.
    """
    names = sorted(scores)
    worth = truth.mean(names)
    known = ~np.isnan(worth)
    kept = [name for name, there in zip(names, known, strict=True) if there]
    if len(kept) < 2:
        raise ValueError(
            f"scores: the truth knows {len(kept)} of these {len(names)} cells; it needs two to rank"
        )
    space = truth.space
    table = pd.DataFrame(
        {
            "arch": kept,
            "score": [scores[name] for name in kept],
            "truth": worth[known],
            "parameters": [float(space.parameters(space.decode(name))) for name in kept],
        }
    )
    by_seed = [truth.accuracy.get(truth.known_as(name), np.array([np.nan])) for name in kept]
    seeds = max(len(row) for row in by_seed)
    truths = np.array(
        [np.pad(row, (0, seeds - len(row)), constant_values=np.nan) for row in by_seed]
    )
    own = table["score"].to_numpy()
    found = panel(
        -own if lower_is_better else own,
        table["truth"],
        table["parameters"],
        seed=seed,
        truth_by_seed=truths if seeds > 1 else None,
        best=truth.best,
        resamples=resamples,
    )
    told = {
        "cells": kept,
        "truth": truth.sha256,
        "column": f"{truth.dataset}_{truth.split}_{truth.budget}",
        "space": space.name,
        "ties": "tau_b",
    }
    unscored = len(set(truth.reference) - {truth.known_as(name) for name in kept})
    return Listed(table, found, int((~known).sum()), unscored, digest(told)[:12])
