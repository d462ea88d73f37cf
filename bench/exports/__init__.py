"""The results in other tools' forms: each file here holds one ``export(summary, to)``.

A file is named like its option of `bench export` and imports its tool only when it is called, so
that nobody needs a tracker installed who does not use it.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from bench.report.summary import Summary

Export = Callable[[Summary, str], str]
"""(summary, where to) → one sentence saying what is now where."""


class ExportError(ValueError):
    """An export that cannot be made; names the fix."""


def names() -> list[str]:
    """Return what can be exported to."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str) -> Export:
    """Return an export."""
    found: Export = importlib.import_module(f"bench.exports.{name}").export
    return found


def needs(package: str, error: ImportError) -> ExportError:
    """Say how to get a package that is missing."""
    return ExportError(
        f"{package} is not installed ({error}); run: python -m pip install 'bench-darts[trackers]'"
    )


def flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings as dotted names with plain values."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        else:
            yield name, value


def rows(summary: Summary) -> list[dict[str, Any]]:
    """Return every planned run, those without a result included, as a mapping by column."""
    found = summary.runs.to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def finals(row: dict[str, Any]) -> dict[str, float]:
    """Return the finite numbers of a run's row: what it ended with."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in ("seed", "schema")
        and isinstance(value, int | float)
        and math.isfinite(value)
    }


def settings_of(summary: Summary, label: str) -> dict[str, str]:
    """Return a variant's interventions and settings as dotted names and text."""
    arms = {arm["label"]: arm for arm in summary.manifest["arms"]}
    interventions = {
        str(v.get("name", i)): {k: w for k, w in v.items() if k != "name"} or "on"
        for i, v in enumerate(arms.get(label, {}).get("variants", []))
        if isinstance(v, dict)
    }
    content = {"variant": interventions, **summary.settings(label)}
    return {name: str(value) for name, value in flat(content)}
