"""What the gate compares with: recorded traces, the bank of seeds, and the history of both."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import files, shapes
from bench.files import write_atomically
from bench.gate import calibration, searches
from bench.gate.invariants import fingerprint, judged
from bench.gate.seedbank import BANK, by_chance, choose_k
from bench.gate.shapes import Line, Recorded
from bench.gate.traces import Traces, from_plain, record, to_plain
from bench.runs import store
from bench.written import finite, one_line

FOLDER = Path("results") / "baselines"
FILE, HISTORY = "gate.json", "history.jsonl"
LARGEST = 64_000_000
"""Bytes of either; a history grows by a thousand a commit."""
Notify = Callable[[str], None]


class BaselineError(ValueError):
    """A baseline that is missing, damaged or of another gate; names the command that writes one."""


@dataclass(frozen=True)
class Baseline:
    """What was recorded, and why.

    Attributes
    ----------
    bank
        Metric → values of the seeds 0, 1, … in order.
    k, margins, detectable
        The rule: which smallest value is the threshold, the drop that matters per metric, and the
        drop that is seen in 90 of 100 checks.
    provenance
        Commit, date and versions.
    """

    reason: str
    provenance: dict[str, str]
    traces: Traces
    truth: dict[str, Any]
    bank: dict[str, list[float]]
    k: int
    margins: dict[str, float]
    detectable: dict[str, float]

    @property
    def matrix(self) -> np.ndarray:
        """The bank as [n₀, metrics]."""
        return np.array([self.bank[name] for name in self.bank]).T


def provenance() -> dict[str, str]:
    """Return commit, date and the versions that numbers may depend on."""
    import torch

    import bench  # late: saves start-up time
    from bench.runs.provenance import commit  # late: saves start-up time

    return {
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "bench": bench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def make(reason: str, *, jobs: int = 1, keep: Baseline | None = None, notify: Notify) -> Baseline:
    """Record a baseline.

    Parameters
    ----------
    keep
        A baseline whose bank still holds, for a change that moves only the traces.

    Raises
    ------
    ValueError
        When no reason is given, or a search of the bank diverged.
    """
    if not reason.strip():
        raise ValueError("--reason: say why these numbers are the right ones from now on")
    notify("traces")
    traces = record()
    if keep is None:
        found = searches.outcomes(list(range(BANK)), jobs, notify)
        bank = {name: [found[seed][name] for seed in range(BANK)] for name in searches.METRICS}
        if not np.isfinite(np.array(list(bank.values()))).all():
            raise ValueError("a search of the bank diverged: nothing was recorded")
    else:
        bank = keep.bank
    margins = {name: margin for name, (*_, margin) in searches.METRICS.items()}
    matrix = np.array([bank[name] for name in bank]).T
    notify("calibration")
    seen = {
        name: calibration.detectable(matrix, list(margins.values()), i)
        for i, name in enumerate(bank)
    }
    return Baseline(
        one_line(reason),
        provenance(),
        traces,
        fingerprint(judged()[1]),
        bank,
        choose_k(len(bank)),
        margins,
        seen,
    )


def write(baseline: Baseline, folder: Path = FOLDER) -> Path:
    """Write a baseline and a line of the history."""
    suspect, regressed = by_chance(len(baseline.bank), baseline.k)
    content = {
        "gate": searches.digest(),
        "reason": baseline.reason,
        "provenance": baseline.provenance,
        "rule": {
            "k": baseline.k,
            "suspect_by_chance_at_most": round(suspect, 6),
            "regressed_by_chance_at_most": round(regressed, 6),
            "margins": baseline.margins,
            "detectable": {n: round(v, 4) for n, v in baseline.detectable.items()},
        },
        "truth": baseline.truth,
        "bank": {n: [round(v, 6) for v in values] for n, values in baseline.bank.items()},
        "traces": to_plain(baseline.traces),
    }
    # One line per list keeps a diff of a new baseline readable.
    text = json.dumps(store.seal(content), indent=1)
    write_atomically(folder / FILE, _compact(text).encode())
    append(
        folder / HISTORY,
        {
            "kind": "baseline",
            **baseline.provenance,
            "verdict": "accepted",
            "reason": baseline.reason,
            "metrics": baseline.bank,
        },
    )
    return folder / FILE


def _compact(text: str) -> str:
    """Put lists of plain numbers on one line each."""
    # Only where the bracket ends its line: a line never ends inside a string.
    pattern = r"\[\n\s*([-+\d.e,\s]+?)\s*\]"
    return re.sub(pattern, lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def read(folder: Path = FOLDER) -> Baseline:
    """Read the baseline of a folder.

    Raises
    ------
    BaselineError
        When there is none, it was changed by hand, or the gate measures other things by now.
    """
    path = folder / FILE
    fix = 'record one with: python -m bench baseline --reason "..."'
    try:
        content = files.read_json(path, LARGEST)
        sound = store.seal(content)["checksum"] == content["checksum"]
    except FileNotFoundError:
        raise BaselineError(f"{path}: no baseline here; {fix}") from None
    except OSError as error:  # it may be sound all the same
        raise BaselineError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise BaselineError(f"{path}: damaged or changed by hand; {fix}")
    if content.get("gate") != searches.digest():
        raise BaselineError(f"{path}: recorded by a gate that measures other things; {fix}")
    try:
        content = shapes.plain(content, path)
        shapes.check(Recorded, content, path)
    except files.UnfitFileError as error:  # its checksum was made for what it holds
        raise BaselineError(f"{error}; {fix}") from None
    rule = content["rule"]
    return Baseline(
        content["reason"],
        content["provenance"],
        from_plain(content["traces"]),
        content["truth"],
        {name: content["bank"][name] for name in searches.METRICS},
        rule["k"],
        rule["margins"],
        rule["detectable"],
    )


def append(path: Path, line: dict[str, Any]) -> None:
    """Add one line to a history."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(line), separators=(",", ":"), allow_nan=False)
    files.append(path, f"{text}\n".encode())


def history(*paths: Path) -> list[dict[str, Any]]:
    """Return the lines of all histories that exist, oldest first, each once.

    Raises
    ------
    BaselineError
        With file and line where one cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        if not path.is_file():
            continue
        for number, text in enumerate(files.read_text(path, LARGEST).splitlines(), start=1):
            if not text.strip():
                continue
            at = f"{path}:{number}"
            try:
                line = shapes.plain(json.loads(text), at)
                shapes.check(Line, line, at)
            except files.UnfitFileError as error:
                raise BaselineError(f"{error}; not a line of the gate's history") from None
            except (ValueError, RecursionError):
                raise BaselineError(f"{at}: not a line of the gate's history") from None
            found[text.strip()] = line
    return sorted(found.values(), key=lambda line: str(line["date"]))
