"""What must be known before an answer is believed: a sentence or two each, wherever it is shown."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.metrics import plural
from bench.report.summary import Summary
from bench.runs.made import alike, computed
from bench.runs.sources import changed


def notes(summary: Summary) -> list[str]:
    """Return what was not the same for all runs, changed since, or is not known."""
    rows = _records(summary)
    found = [*summary.mixed, *alike(rows), outdated(summary), summary.changed, summary.unknown]
    return [text for text in found if text]


def outdated(summary: Summary) -> str:
    """Say which code changed since the runs were made; empty where none did or nobody knows."""
    counts = Counter(name for result in summary.results.values() for name in stale(result))
    if not counts:
        return ""
    named = "; ".join(f"{name} changed since {plural(n, 'run')}" for name, n in counts.items())
    return f"{named[0].upper()}{named[1:]}; --force runs them again."


def stale(result: dict[str, Any]) -> list[str]:
    """Return what has other source now than when a result was made."""
    sources = (result.get("provenance") or {}).get("sources")
    return changed(sources) if isinstance(sources, dict) else []


def arithmetic(summary: Summary) -> str:
    """Say what did the arithmetic, and on which processors; empty where no run says."""
    rows = _records(summary)
    names = [row.get("processor") for row in rows]
    processors = ", ".join(dict.fromkeys(name for name in names if isinstance(name, str) and name))
    return "; ".join(part for part in (computed(rows), processors) if part)


def _records(summary: Summary) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for _, row in summary.runs.iterrows()]
