"""Numbers of a folder of results computed again from what lies under them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench import files
from bench.ranking.correlation import tau_b
from bench.ranking.scores import read_scores
from bench.report.missing import as_numbers
from bench.report.rows import columns_of, row_of
from bench.report.summary import Summary
from bench.report.table import as_csv, as_markdown
from bench.runs import packed, store

REPORT = "report.md"


def table_of(manifest: Mapping[str, Any], found: Mapping[str, dict[str, Any]]) -> str:
    """Return the runs as CSV, a row for each that was planned."""
    rows = [row_of(name, found.get(name), "no result") for name in manifest["runs"]]
    return as_csv(as_numbers(pd.DataFrame(rows, columns=columns_of(rows))))


def recount(root: Path) -> tuple[list[str], list[str]]:
    """Compute again what can be: return what is as it says, and what is not.

    The table of runs from the results; every τ from its scores; ``report.md``, where it is there,
    from all of it.
    """
    summary, found = Summary.read(root), packed.results(root)
    right, wrong = list[str](), list[str]()
    named = files.read_text(root / packed.TABLE, packed.LARGEST)
    same = named == table_of(summary.manifest, found)
    (right if same else wrong).append(f"{packed.TABLE}: {len(summary.runs)} runs, from the results")
    ranked = 0
    for name, result in found.items():
        digest = result.get("files", {}).get(store.RANKING)
        if digest is None:
            continue
        path = packed.scores_of(root, name)
        if not path.is_file() or _hash(path) != digest:
            wrong.append(f"{name}: the scores are not those of its ranking")
            continue
        scores = read_scores(path)
        for key, column, sign in (("tau", "accuracy", 1), ("tau_loss", "loss", -1)):
            again = tau_b(sign * scores[column], scores["truth"], scores.get("weight"))
            said = math.nan if result.get(key) is None else float(result[key])
            if not (math.isclose(again, said, abs_tol=1e-9) or (again != again and said != said)):
                wrong.append(
                    f"{name}: {key} is {said:.6f} in the result and {again:.6f} in its scores"
                )
        ranked += 1
    right.append(f"τ by accuracy and by loss of {ranked} rankings, from their scores")
    if (root / REPORT).is_file():
        same = files.read_text(root / REPORT, packed.LARGEST) == as_markdown(summary)
        (right if same else wrong).append(f"{REPORT}: every number of it, from the results")
    return right, wrong


def _hash(path: Path) -> str:
    return hashlib.sha256(files.read(path, packed.LARGEST, links=False)).hexdigest()
