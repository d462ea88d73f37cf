"""What was obtained of a published table as Markdown, CSV and records."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from bench.papers import Number, PaperTable
from bench.papers.reproduce import PASS_BAND, SIGNAL, Outcome, Table

BUDGET_NOTE = (
    "Budget: {budget} evaluations, the equivalent of the paper's 12,000 s of 12-epoch training "
    "(about 109 s each); the table holds no training times, so small and large cells cost the same."
)
HOURS_NOTE = (
    "GPU hours are orders of magnitude to plan with, from the papers' own reports on a GTX 1080 Ti "
    "as remembered, or guessed from like methods; none was measured here."
)


def records(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return one flat record per row, data set and split; rows that were not run have one."""
    flat: list[dict[str, Any]] = []
    for outcome in outcomes:
        row = outcome.row
        head = {"method": row.method, "version": row.version, "recalled": row.recalled}
        tail = {**outcome.cost, "how": outcome.how}
        if not outcome.obtained:
            for dataset, claim in row.claimed.items():
                for split, number in (("valid", claim.valid), ("test", claim.test)):
                    if number is not None:
                        said = _numbers("claimed", number)
                        at = {"dataset": dataset, "split": split}
                        flat.append({**head, **at, **said, "verdict": "not run", **tail})
        for one in outcome.obtained:
            flat.append(
                {
                    **head,
                    "dataset": one.dataset,
                    "split": one.split,
                    **_numbers("claimed", one.claimed or Number(math.nan)),
                    **_numbers("obtained", one.number),
                    "iqm": one.iqm.estimate,
                    "iqm_low": one.iqm.low,
                    "iqm_high": one.iqm.high,
                    "gap": one.gap,
                    "standard_error": one.error,
                    "gap_in_errors": one.errors,
                    "margin": one.margin,
                    "verdict": one.verdict,
                    **tail,
                }
            )
    return flat


def _numbers(name: str, number: Number) -> dict[str, float]:
    return {f"{name}_mean": number.mean, f"{name}_sd": number.sd}


def to_csv(outcomes: list[Outcome]) -> str:
    """Return the records as CSV; numbers that are not there are empty."""
    flat = records(outcomes)
    columns = list(dict.fromkeys(name for record in flat for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in flat:
        writer.writerow({name: _plain(value) for name, value in record.items()})
    return text.getvalue()


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"


def to_markdown(
    name: str, table: PaperTable, outcomes: list[Outcome], truth: Table | None, budget: int
) -> str:
    """Return the page: claimed beside obtained on test, then how each was obtained."""
    lines = [f"# {table.title}", "", f"{table.paper}.", ""]
    headings = [f"{dataset} claimed | obtained" for dataset in table.datasets]
    lines.append(f"| method | version | {' | '.join(headings)} | verdict |")
    lines.append("|---" * (3 + 2 * len(table.datasets)) + "|")
    for outcome in outcomes:
        row = outcome.row
        mark = " [recalled]" if row.recalled else ""
        parts = [row.method, row.version + mark]
        tests = {one.dataset: one for one in outcome.obtained if one.split == "test"}
        for dataset in table.datasets:
            claim, one = row.claimed.get(dataset), tests.get(dataset)
            parts.append("–" if claim is None else str(claim.test))
            parts.append("–" if one is None else str(one.number))
        lines.append(f"| {' | '.join([*parts, outcome.verdict])} |")
    lines += ["", f"Test {table.measure} in percent, mean±sd. Pass band: {PASS_BAND}.", ""]
    if table.margin:
        margins = ", ".join(f"{name} {points:g}" for name, points in table.margin.items())
        lines += [
            f"Margins in points, from the table's own file: {margins}; SE: standard errors apart.",
            "",
        ]
    if truth is not None:
        lines += [
            f"Truth: {truth.provenance}. Every search sees {SIGNAL} and nothing else; the cell "
            f"that it finds is looked up on all data sets. {BUDGET_NOTE.format(budget=budget)}",
            "",
        ]
        if not any(column.endswith("valid_200") for column in truth.final):
            lines += [
                "Validation accuracies after 200 epochs are not in this table: the claimed ones "
                "are kept in the CSV and compared with nothing.",
                "",
            ]
    searched = [outcome for outcome in outcomes if outcome.cost]
    if searched:
        lines += _quality_and_cost(searched)
    lines += ["## How", ""]
    for outcome in outcomes:
        note = f" {outcome.row.note}" if outcome.row.note else ""
        lines.append(f"- {outcome.row.method} ({outcome.row.version}): {outcome.how}.{note}")
    if any(outcome.row.obtain.gpu_hours for outcome in outcomes):
        lines += ["", HOURS_NOTE]
    if any(outcome.row.recalled for outcome in outcomes):
        lines += ["", "[recalled]: from memory of the paper; look it up before citing it."]
    return "\n".join(lines) + "\n"


def _quality_and_cost(searched: list[Outcome]) -> list[str]:
    """Return quality beside search cost; outcomes are skewed, so with the interquartile mean."""
    head = f"CIFAR-10 test IQM [95 %] | {SIGNAL} of the favourite | evaluations | distinct cells"
    lines = ["## Quality beside cost", "", f"| search | {head} | seconds per run |"]
    lines.append("|---" * 6 + "|")
    for outcome in searched:
        tests = (one for one in outcome.obtained if one.split == "test")
        one = next(one for one in tests if one.dataset == "cifar10")
        cost = outcome.cost
        lines.append(
            f"| {outcome.row.method} | {one.iqm.estimate:.2f} [{one.iqm.low:.2f}, "
            f"{one.iqm.high:.2f}] | {cost['signal']:.2f} | {cost['evaluations']:.0f} | "
            f"{cost['distinct']:.0f} | {cost['seconds_per_run']:.4f} |"
        )
    return [*lines, ""]
