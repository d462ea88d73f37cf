"""How the runs of an output folder stand, read from the folders: whoever runs them, wherever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.runs import index, store
from bench.runs import lock as runlock
from bench.runs.manifest import MANIFEST, read_manifest
from bench.runs.shapes import FOLDER, label_and_seed

STATES = ("done", "running", "waiting", "stopped", "stale", "failed")
"""``stopped`` ended in order with a checkpoint; ``stale`` has not been heard of and was killed."""
RANKING_SHARE = 0.1
"""Of a run's time, a guess: what is left to do when the last epoch is over."""


@dataclass(frozen=True)
class RunState:
    """One run as it stands.

    Attributes
    ----------
    kind
        One of `STATES`.
    status
        What the run last said of itself: its result's status, or ``running`` or ``ranking``.
    share
        Of its work, how much is done, from 0 to 1.
    quiet
        Seconds since its last heartbeat; None where nothing holds it.
    seconds
        That it took, or has taken so far.
    """

    folder: str
    kind: str
    status: str = ""
    epoch: int | None = None
    epochs: int | None = None
    share: float = 0.0
    quiet: float | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def label(self) -> str:
        """The variant."""
        return label_and_seed(self.folder)[0]

    @property
    def seed(self) -> int | None:
        """The seed."""
        named = FOLDER.fullmatch(self.folder)
        return int(named["seed"]) if named else None


def outputs(directory: Path) -> list[Path]:
    """Return the output folders that a folder is or holds; raises ValueError where none."""
    if not directory.is_dir():
        raise ValueError(f"{directory}: no such folder")
    if (directory / MANIFEST).is_file():
        return [directory]
    found = [directory / n for n in index.names(directory) if (directory / n / MANIFEST).is_file()]
    if not found:
        raise ValueError(f"{directory}: neither it nor a folder in it holds {MANIFEST}")
    return found


def runs(root: Path, found: Sequence[Mapping[str, Any]] | None = None) -> list[RunState]:
    """Return the state of every planned run, in the order of the plan.

    Parameters
    ----------
    found
        `index.rows`, where they are known already.
    """
    rows = {row["folder"]: row for row in (index.rows(root) if found is None else found)}
    there = set(index.names(root))
    return [
        _state(root, name, rows.get(name)) if name in there else RunState(name, "waiting")
        for name in read_manifest(root)["runs"]
    ]


def _state(root: Path, name: str, row: Mapping[str, Any] | None) -> RunState:
    if row is not None:
        status, seconds = str(row.get("status")), row.get("seconds")
        return RunState(
            name,
            "done" if status == "ok" else "failed",
            status,
            share=1.0,
            seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
            error=str(row.get("error", "")),
        )
    folder = root / name
    if folder.is_symlink():
        return RunState(name, "failed", error="a link stands in its place; links are not followed")
    progress, quiet = store.read_progress(folder), runlock.silence(folder)
    if runlock.alive(folder):
        kind = "running"
    elif quiet is not None:
        kind = "stale"
    else:
        kind = "stopped" if (folder / store.CHECKPOINT).exists() else "waiting"
    epoch, epochs = progress.get("epoch"), progress.get("epochs")
    share = (1 - RANKING_SHARE) * (epoch or 0) / max(1, epochs or 1)
    elapsed = float(progress.get("elapsed") or 0.0)
    damaged = store.problem(folder) or str(progress.get("error") or "")
    return RunState(
        name, kind, str(progress.get("status", "")), epoch, epochs, share, quiet, elapsed, damaged
    )


def count(states: list[RunState]) -> dict[str, int]:
    """Return how many runs are in each state; all states are there."""
    found = Counter(state.kind for state in states)
    return {kind: found[kind] for kind in STATES}


def eta(states: list[RunState]) -> float | None:
    """Return the seconds until all planned runs are over at the present pace; None: unknown.

    The pace is that of the runs at work now; nothing is estimated while none is.
    """
    working = [state for state in states if state.kind == "running"]
    whole = [s.seconds for s in states if s.kind == "done"]
    whole = whole or [s.seconds / s.share for s in working if s.share > 0]
    if not working or not whole:
        return None
    left = sum(1 - s.share for s in states if s.kind not in ("done", "failed"))
    return fmean(whole) * left / len(working)


def attention(states: list[RunState]) -> Iterator[RunState]:
    """Yield what somebody may want to look at: all but what is done or waits its turn."""
    yield from (state for state in states if state.kind not in ("done", "waiting"))
