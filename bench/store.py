"""Run folders: the result is written last, the index is rebuilt from them.

A run is a folder ``<label>-seed<n>-<digest>`` with ``spec.json``, ``progress.json`` (rewritten while
it runs), ``checkpoint.pt``, ``ranking.parquet`` and, when all else is there, ``result.json``. What
has no result is disposable; what has one of status ``ok`` is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench.checkpoint import write_atomically
from bench.plan import RunSpec

RESULT, SPEC, PROGRESS, CHECKPOINT, RANKING = (
    "result.json", "spec.json", "progress.json", "checkpoint.pt", "ranking.parquet",
)  # fmt: skip


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN and infinities become null, which every reader understands."""
    text = json.dumps(_finite(content), indent=1, sort_keys=False, allow_nan=False)
    write_atomically(path, text.encode())


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def seal(result: dict[str, Any]) -> dict[str, Any]:
    """Add the checksum by which a later reader knows that nothing was changed."""
    content = _finite({key: value for key, value in result.items() if key != "checksum"})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return a run's result, or None where there is none or it is damaged."""
    try:
        result = json.loads((folder / RESULT).read_bytes())
        sound = isinstance(result, dict) and seal(result)["checksum"] == result.get("checksum")
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return result if sound else None


def done(folder: Path) -> bool:
    """Say whether the run has finished well; failures are never taken for it."""
    result = read_result(folder)
    return result is not None and result.get("status") == "ok"


def read_progress(folder: Path) -> dict[str, Any]:
    """Return the last progress that a run reported; empty where there is none."""
    with contextlib.suppress(OSError, ValueError):
        progress = json.loads((folder / PROGRESS).read_bytes())
        if isinstance(progress, dict):
            return progress
    return {}


def read_spec(folder: Path) -> RunSpec:
    """Return what a run was to do."""
    return RunSpec.model_validate_json((folder / SPEC).read_bytes())


def folders(root: Path) -> Iterator[Path]:
    """Yield the run folders below an output folder, sorted by name."""
    yield from sorted(p.parent for p in root.glob(f"*/{SPEC}"))


def results(root: Path) -> list[dict[str, Any]]:
    """Return all results below an output folder, failures included."""
    found = (read_result(folder) for folder in folders(root))
    return [result for result in found if result is not None]


def index(root: Path) -> pd.DataFrame:
    """Return one row per run with a result: labels, seeds, status and every plain number."""
    rows = [
        {key: value for key, value in result.items() if not isinstance(value, list | dict)}
        for result in results(root)
    ]
    return pd.DataFrame(rows)
