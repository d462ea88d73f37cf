"""What must be known before an answer is believed: a sentence or two each, wherever it is shown."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from bench.metrics import listed, metric, plural
from bench.report.summary import Summary
from bench.runs.made import alike, computed
from bench.runs.sources import changed

NEAR_CHANCE = 2.0
"""Below so many times chance a supernet counts as untrained."""


def notes(summary: Summary) -> list[str]:
    """Return what was not the same for all runs, changed since, or is not known."""
    rows = _records(summary)
    found = [
        *silent(summary),
        *caveats(summary),
        *near_chance(summary),
        *summary.mixed,
        *alike(rows),
        outdated(summary),
        summary.changed,
        summary.unknown,
    ]
    return [text for text in found if text]


def silent(summary: Summary) -> list[str]:
    """Return which columns are empty because they say nothing of a space's cells, and why."""
    found = []
    for label in summary.labels:
        if (space := summary.space(label)) is None:
            continue
        reasons: dict[str, list[str]] = {}
        for name, why in space.says_nothing.items():
            reasons.setdefault(why, []).append(metric(name).title)
        found += [
            f"In the space {space.name} {why}: there is no {listed(names)} to speak of."
            for why, names in reasons.items()
        ]
    return list(dict.fromkeys(found))


def caveats(summary: Summary) -> list[str]:
    """Return what the data that was searched on has its readers know."""
    data = [result.get("data") for result in summary.results.values()]
    found = [entry.get("caveat") for entry in data if isinstance(entry, dict)]
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def near_chance(summary: Summary) -> list[str]:
    """Say of supernets that have hardly learned anything that their τ is that of chance."""
    found = []
    for label in summary.labels:
        mine = [r for r in summary.results.values() if r.get("label") == label]
        classes = [n for r in mine if isinstance(n := (r.get("data") or {}).get("classes"), int)]
        rates = [r.get("train_accuracy") for r in mine if r.get("status") == "ok"]
        numbers = [float(x) for x in rates if isinstance(x, int | float) and math.isfinite(x)]
        if not numbers or not classes:
            continue
        right, chance = sum(numbers) / len(numbers), 100 / max(classes[0], 1)
        if right < NEAR_CHANCE * chance:
            found.append(
                f"The supernets of {label} were right on {right:.0f} % of their training images at "
                f"the end ({chance:.0f} % is chance): they are not trained, and their τ says nothing."
            )
    return found


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
