"""A finished run opened again: its setup and its last state, for ranking or selecting anew."""

from __future__ import annotations

from pathlib import Path

from bench.runs import checkpoint, store
from bench.runs.spec import RunSpec
from bench.search.setup import Setup, build, restored
from bench.search.state import SearchState


def reopen(folder: Path, spec: RunSpec | None = None) -> tuple[Setup, SearchState]:
    """Return the setup and the state of a run's checkpoint.

    Parameters
    ----------
    spec
        The run's specification with other ranking, truth or selection; None: its own.

    Raises
    ------
    CheckpointError
        When the checkpoint is missing, damaged or another run's.
    """
    own = store.read_spec(folder)
    spec = own if spec is None else spec
    setup = build(spec.settings, spec.variants, spec.seed)
    return setup, restored(setup, checkpoint.load(folder / store.CHECKPOINT, own.digest))
