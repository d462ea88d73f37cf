"""A check in words: for the terminal, as Markdown for a pull request, as JSON for a tracker."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from bench.gate.check import Report
from bench.gate.searches import METRICS
from bench.gate.seedbank import BANK, CONFIRMING, FRESH, Judgement, by_chance
from bench.gate.traces import Finding
from bench.metrics import number
from bench.written import one_line

SIGNS = {"ok": "✓", "suspect": "?", "cleared": "✓", "regressed": "✗"}
HEADLINES = {
    "green": "Search quality holds",
    "changed": "The search is not the recorded one",
    "regressed": "Search quality has regressed",
}
WHAT_NEXT = {
    "green": "",
    "changed": "Outcomes are within what seeds do, but the same seed gives other numbers. If that "
    'is meant, accept it: `python -m bench baseline --reason "..."`.',
    "regressed": "All new seeds are below the recorded ones. If the new numbers are right, accept "
    'them: `python -m bench baseline --reason "..."`.',
}


def headline(report: Report) -> str:
    """Return the verdict in one sentence."""
    text = HEADLINES[report.verdict]
    bad = [j for j in report.judgements if j.status == "regressed"]
    if bad:
        falls = [f"{METRICS[j.metric][1]} by {_value(j.drop, j)}" for j in bad]
        return f"{text}: {'; '.join(falls)}."
    failed = [finding.name for finding in report.findings if not finding.ok]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"{text}: {failed[0]}{more}."
    if not report.judgements:
        return f"{text}, as far as the deterministic layer sees."
    return f"{text}."


def what_next(report: Report) -> list[str]:
    """Return what to do about it, in sentences."""
    told = [WHAT_NEXT[report.verdict]] if WHAT_NEXT[report.verdict] else []
    if report.verdict == "changed" and not report.judgements:
        told = ["The statistical layer was not asked: run `python -m bench check` without --quick."]
    if report.verdict != "green" and report.other_versions:
        told.append(
            f"Not the machine of the baseline ({'; '.join(report.other_versions)}): traces may "
            "differ for that reason alone."
        )
    return told


def _value(value: float, judgement: Judgement, signed: bool = False) -> str:
    if value == -math.inf:
        return "diverged"
    unit = METRICS[judgement.metric][2]
    return number(value, 2 if unit == "%" else 3, signed) + (f" {unit}" if unit else "")


def median(judgement: Judgement) -> float:
    """Return the median of all new seeds; a diverged one counts as the worst."""
    values = np.array([*judgement.fresh, *judgement.confirming], dtype=float)
    return float(np.median(np.where(np.isnan(values), -np.inf, values)))


def rows(report: Report) -> list[list[str]]:
    """Return a row per metric: name, recorded, new, change, what 90 % would see, status."""
    found = []
    for j in report.judgements:
        new = median(j)
        found.append(
            [
                METRICS[j.metric][1],
                f"{_value(float(np.median(j.bank)), j)} ({_value(j.threshold, j)})",
                _value(new, j),
                _value(-j.drop, j, signed=True) if math.isfinite(j.drop) else "diverged",
                _value(report.baseline.detectable[j.metric], j),
                f"{SIGNS[j.status]} {j.status}",
            ]
        )
    return found


HEADINGS = ["metric", "recorded (threshold)", "new", "change", "seen at 90 %", ""]


def rule(report: Report) -> str:
    """Say by what rule the bank judges."""
    k = report.baseline.k
    suspect, regressed = by_chance(len(report.baseline.bank), k)
    return (
        f"Suspect: all {FRESH} fresh seeds strictly below the {_ordinal(k)} smallest of {BANK} (by "
        f"chance in at most {100 * suspect:.2g} % of checks, all metrics together). Regressed: "
        f"{CONFIRMING} confirming seeds too (at most {100 * regressed:.1g} %), and a drop of the "
        "median beyond the margin."
    )


def _ordinal(k: int) -> str:
    return {1: "", 2: "second", 3: "third"}.get(k, f"{k}th")


def distances(finding: Finding) -> str:
    """Return how far off a trace is beside what is allowed."""
    if math.isnan(finding.distance):
        return ""
    return f"{finding.distance:.1e} of {finding.tolerance:.0e}"


def text(report: Report) -> str:
    """Return the check for a terminal."""
    lines = [headline(report), ""]
    for finding in report.findings:
        sign = "✓" if finding.ok else "✗"
        lines.append(f"{sign} {finding.name:44} {finding.detail:44} {distances(finding)}".rstrip())
    if report.judgements:
        table = [HEADINGS, *rows(report)]
        widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS))]
        lines += ["", *(_line(row, widths) for row in table), "", rule(report)]
    lines += ["", *what_next(report)]
    return "\n".join([*lines, *_origin(report)]).replace("\n\n\n", "\n\n")


def _line(row: list[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _origin(report: Report) -> list[str]:
    recorded, here = report.baseline.provenance, report.provenance
    seeds = f"seeds {', '.join(map(str, report.seeds))}, from {report.draw!r}; "
    return [
        f"{seeds if report.seeds else ''}{report.seconds:.0f} s; commit "
        f"{here['commit'] or 'unknown'} against the baseline of {recorded['commit'] or 'unknown'}, "
        f"{recorded['date'][:10]}: {report.baseline.reason}"
    ]


def markdown(report: Report) -> str:
    """Return the summary for a pull request."""
    mark = "✅" if report.verdict == "green" else "❌"
    lines = [f"### {mark} {headline(report)}", "", *what_next(report), ""]
    if report.judgements:
        lines += [_md(HEADINGS), "|---" + "|---:" * (len(HEADINGS) - 2) + "|---|"]
        lines += [_md(row) for row in rows(report)]
        lines += ["", rule(report), ""]
    wrong = [finding for finding in report.findings if not finding.ok]
    good = len(report.findings) - len(wrong)
    lines.append(f"Deterministic layer: {good} of {len(report.findings)} checks hold.")
    if wrong:
        lines += ["", "| check | found | off by |", "|---|---|---|"]
        lines += [_md([f.name, f.detail, distances(f)]) for f in wrong]
    if report.speed:
        lines += ["", "<details><summary>Speed (tracked, never judged)</summary>", ""]
        lines += ["| benchmark | value |", "|---|---:|"]
        lines += [_md([n, f"{v:.4g} {u}".strip()]) for n, (v, u) in report.speed.items()]
        lines += ["", "</details>"]
    return "\n".join([*lines, "", _escaped(_origin(report)[0]), ""])


def _md(cells: list[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Keep what a user wrote (a reason, a benchmark's name) from acting as markup."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in plain)


def benchmark_json(report: Report) -> str:
    """Return what github-action-benchmark reads as ``customBiggerIsBetter``."""
    entries: list[dict[str, Any]] = []
    for j in report.judgements:
        values = [v for v in (*j.fresh, *j.confirming) if math.isfinite(v)]
        if not values:
            continue  # the tracker has no word for a search that diverged
        entries.append(
            {
                "name": METRICS[j.metric][1],
                "unit": METRICS[j.metric][2] or "τ",
                "value": round(float(np.median(values)), 6),
                "range": f"{min(values):.4g} to {max(values):.4g}",
                "extra": f"bank {np.median(j.bank):.4g}, threshold {j.threshold:.4g}, {j.status}",
            }
        )
    for name, (value, unit) in report.speed.items():
        entries.append({"name": name, "unit": unit or "ratio", "value": value})
    return json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
