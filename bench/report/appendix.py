"""The end of a page: what its words mean, where its numbers come from, what can be taken along."""

from __future__ import annotations

import base64
import gzip
from typing import Any

from bench.metrics import METRICS, listed, number
from bench.report.notes import arithmetic
from bench.report.summary import Summary
from bench.report.table import as_csv

FEW_RUNS = 60
"""Runs up to which the page's tables are taken along as they are; more are packed."""
HISTORY = 40_000
"""Readings up to which the page holds all of them as a file to take along."""


def meanings(summary: Summary) -> list[tuple[str, str]]:
    """Return what every word of the page means, one line each."""
    known = [(m.title, m.meaning) for m in METRICS.values()]
    truths = [r["truth"] for r in summary.results.values() if isinstance(r.get("truth"), dict)]
    if truths and isinstance(truths[0].get("best"), int | float):
        truth = truths[0]
        best, average = number(truth["best"], 2), number(truth["random"], 2)
        meaning = f"{BEST.format(truth['cells'])}: {best} and {average} %"
        known.append(("best and average cell", meaning))
    return [*known, *READING]


BEST = "highest and mean true accuracy of the table's {} cells; a random choice is worth the mean"
READING = [
    (
        "estimates",
        "interquartile means over the finished seeds (the plain mean below four); brackets are "
        "95 % bootstrap intervals over seeds, for τ a mean and a bootstrap over seeds and "
        "architectures, for the collapse rate Wilson's. With few seeds they are too narrow",
    ),
    (
        "paired difference",
        "variant minus baseline at the same seed, averaged; p from the exact sign-flip test. The "
        "answer uses the one comparison stated beforehand, uncorrected; the table corrects all "
        "by Holm",
    ),
    (
        "failures",
        "runs that diverged, ran out of memory, failed or are missing have no cell: they are "
        "counted in every table and left out of estimates, which then hold for the finished runs "
        "only",
    ),
]
"""How to read what is not a column."""


def provenance(summary: Summary) -> list[tuple[str, str]]:
    """Return where the numbers come from; several values where runs disagree."""
    results = list(summary.results.values())

    def distinct(*path: str) -> str:
        found: list[str] = []
        for result in results:
            inner: Any = result
            for key in path:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if inner not in (None, "") and str(inner) not in found:
                found.append(str(inner))
        return listed(found)

    rows = [
        (
            "versions",
            ", ".join(
                f"{k} {v}"
                for k in ("bench", "python", "torch", "numpy")
                if (v := distinct("provenance", k))
            ),
        ),
        ("commit", distinct("provenance", "commit")),
        ("system", distinct("provenance", "system")),
        ("machine", distinct("provenance", "machine")),
        ("device", distinct("provenance", "device")),
        ("arithmetic", arithmetic(summary)),
        ("source of the package", distinct("provenance", "source")),
        ("threads per run", distinct("provenance", "threads")),
        ("truth", distinct("truth", "provenance")),
        ("truth sha256", distinct("truth", "sha256")),
        ("ranking protocol", distinct("protocol")),
        ("seeds", ", ".join(str(s) for s in sorted(summary.runs["seed"].unique()))),
    ]
    return [(name, text) for name, text in rows if text]


def downloads(summary: Summary) -> list[tuple[str, str]]:
    """Return file name and data URI of everything that can be taken along."""
    name = summary.manifest["name"]
    files = {
        f"{name}-variants.csv": ("text/csv", as_csv(summary.variants).encode()),
        f"{name}-runs.csv": ("text/csv", as_csv(summary.runs).encode()),
    }
    if len(summary.runs) > FEW_RUNS:  # a fifth; pandas reads it
        files = {
            f"{file}.gz": ("application/gzip", gzip.compress(content, mtime=0))
            for file, (_, content) in files.items()
        }
    readings = sum(len(e) for r in summary.results.values() for e in r.get("history", []))
    if readings <= HISTORY:
        history = gzip.compress(as_csv(summary.history).encode(), mtime=0)
        files[f"{name}-history.csv.gz"] = ("application/gzip", history)
    return [
        (file, f"data:{kind};base64,{base64.b64encode(content).decode()}")
        for file, (kind, content) in files.items()
    ]
