"""Small ablations, and what two folders of the same run must have in common."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench.ablation.file import read_ablation
from bench.runs import checkpoint, store
from bench.runs.index import rows
from bench.runs.spec import RunSpec, plan

ROOT = Path(__file__).parents[2]
FILE = ROOT / "ablations" / "skip_dropout.yaml"
CLOCKS = {"seconds", "search_seconds", "ranking_seconds", "checksum", "provenance"}


def specs(
    *sets: str, only: Iterable[str] = ("darts",), seeds: str = "1", file: Path = FILE
) -> list[RunSpec]:
    """Return runs at the smallest scale."""
    return plan(
        read_ablation(file, str(ROOT / "ablations/profiles/smoke.yaml"), list(sets), seeds), only
    )


def numbers(folder: Path) -> dict[str, Any]:
    """Return a run's result without what a clock or the machine says."""
    result = store.read_result(folder)
    assert result is not None, f"{folder.name} has no sound result"
    return {key: value for key, value in result.items() if key not in CLOCKS}


def same_bits(a: Path, b: Path) -> None:
    """Check that two runs ended with the same numbers, history, alpha and weights."""
    assert numbers(a) == numbers(b)
    one, two = (checkpoint.load(folder / store.CHECKPOINT) for folder in (a, b))
    for part in ("supernet", "architecture"):
        assert one[part].keys() == two[part].keys()
        assert all(torch.equal(one[part][name], two[part][name]) for name in one[part])
    assert one["history"] == two["history"] and one["step"] == two["step"]


def bench(*words: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the real command line, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def until(
    condition: Callable[[], Any],
    process: subprocess.Popen[str] | None = None,
    seconds: float = 300.0,
    every: float = 0.02,
) -> Any:
    """Wait until something is so while a process is alive, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.communicate()}")
        time.sleep(every)
    raise AssertionError(f"not so within {seconds:.0f} s")


def epoch(folder: Path) -> int:
    """Return the last epoch that a run reported."""
    return int(store.read_progress(folder).get("epoch") or 0)


def listing(root: Path, *, rebuild: bool = False) -> pd.DataFrame:
    """Return the index of an output folder as a table."""
    return pd.DataFrame(rows(root, rebuild=rebuild))


def folders(root: Path, runs: Sequence[RunSpec]) -> list[Path]:
    """Return the folders of runs."""
    return [root / run.folder for run in runs]
