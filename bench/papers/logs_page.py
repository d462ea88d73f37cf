"""The replayed search logs as Markdown, CSV and records."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.metrics import bounds, number
from bench.papers.logs import PLAIN, SETTING, LogTable, Obtained
from bench.variants._eigenvalue import RULES

SIGNED = ("τ-b", "Pearson", "Spearman")


def records(obtained: list[Obtained]) -> list[dict[str, Any]]:
    """Return one flat record per claim."""
    return [
        {
            "claim": one.claim.says,
            "claimed": one.claim.claimed,
            "recalled": one.claim.recalled,
            "measure": one.claim.measure,
            "obtained": one.value.estimate,
            "low": one.value.low,
            "high": one.value.high,
            "unit": one.claim.unit,
            "searches": one.searches,
        }
        for one in obtained
    ]


def to_markdown(table: LogTable, obtained: list[Obtained], frame: pd.DataFrame) -> str:
    """Return the page: claims, the epochs that rules choose, skips by setting."""
    lines = [f"# {table.title}", "", f"{table.paper}. Logs: {table.source}.", ""]
    lines += ["| claim | claimed | obtained | searches |", "|---|---|---|---|"]
    for one in obtained:
        claim, recalled = one.claim, " [recalled]" if one.claim.recalled else ""
        limits = bounds(one.value, 2, signed=True)
        value = number(one.value.estimate, 2, signed=claim.unit in SIGNED)
        lines.append(
            f"| {claim.says} | {claim.claimed}{recalled} | "
            f"{' '.join(part for part in (value, limits, claim.unit) if part)} | {one.searches} |"
        )
    lines += [
        "",
        "Bounds are percentiles (95 %) over settings drawn again, and seeds within them; none from fewer than "
        "five settings.",
        *(f"\n{one.claim.says}: {one.claim.note}" for one in obtained if one.claim.note),
        "",
    ]
    lines += [*_stops(frame), *_skips(frame)]
    if any(one.claim.recalled for one in obtained):
        lines.append("[recalled]: from memory of the paper; look it up before citing it.")
    return "\n".join(lines) + "\n"


def _stops(frame: pd.DataFrame) -> list[str]:
    """Return which epoch each rule chooses on each series, a line per setting."""
    own = frame[frame["sharpness"].notna()]
    lines = [
        "## Which epoch each stopping rule chooses",
        "",
        f"Of {len(own)} published series, epochs counted from 1, the seeds of a setting in order; – where the "
        "rule lets the search run to its end (epoch 50). The logs measure after epochs 1, 3, 5, …, which is "
        "the code's own rhythm; the paper's five epochs are five measurements here. `rise` is the largest "
        "ratio of two averages that the code's rule compares (it stops above 1.3, from its 12th measurement "
        "on), `sharpness` the mean of the last five eigenvalues.",
        "",
        f"| drop-path | weight decay | {' | '.join(RULES)} | rise | sharpness |",
        "|---:|---:|" + "---|" * len(RULES) + "---|---|",
    ]
    for (drop_path, decay), runs in own.groupby(SETTING):
        runs = runs.sort_values("run")
        chosen = [
            ", ".join(number(v, 0).replace("—", "–") for v in runs[f"chosen_{rule}"])
            for rule in RULES
        ]
        mark = " (plain)" if (drop_path, decay) == PLAIN else ""
        told = [", ".join(number(v, 2) for v in runs[name]) for name in ("rise", "sharpness")]
        lines.append(f"| {drop_path:g}{mark} | {decay:g} | {' | '.join([*chosen, *told])} |")
    return [*lines, ""]


def _skips(frame: pd.DataFrame) -> list[str]:
    """Return skips of the normal cell by weight decay and drop-path, and the supernets' errors."""
    lines = []
    for column, title, digits in (
        ("skips_normal", "Skips of the normal cell, of 8; mean over seeds", 1),
        ("weight_free", "Share of all kept edges without weights; mean over seeds", 2),
        ("error", "The supernet's last validation error, percent; mean over seeds", 1),
    ):
        pivot = frame.pivot_table(column, "weight_decay", "drop_path", "mean")
        lines += [
            f"## {title}",
            "",
            f"| weight decay | {' | '.join(f'drop-path {p:g}' for p in pivot.columns)} |",
            "|---:|" + "---:|" * len(pivot.columns),
        ]
        for decay, row in pivot.iterrows():
            values = " | ".join(number(float(v), digits) for v in row)
            lines.append(f"| {float(str(decay)):g} | {values} |")
        lines.append("")
    missing = frame[frame["skips_normal"].isna()]
    for gone in missing.itertuples():
        lines += [
            f"No genotype is published of drop-path {gone.drop_path:g}, weight decay "
            f"{gone.weight_decay:g}, run {gone.run}.",
            "",
        ]
    return lines
