"""A finished run opened again: its setup and its last state, for ranking or selecting anew."""

from __future__ import annotations

from pathlib import Path

from bench.runs import checkpoint, store
from bench.runs.contents import refuse_changed
from bench.runs.fit import MisfitError
from bench.runs.restore import restore
from bench.runs.spec import RunSpec
from bench.search.setup import Setup, build, initial_state
from bench.search.state import SearchState


def reopen(folder: Path, spec: RunSpec | None = None) -> tuple[Setup, SearchState]:
    """Return the setup and the state of a run's checkpoint.

    Parameters
    ----------
    folder
        Of a run that kept its checkpoint.
    spec
        The run's specification with other ranking, truth or selection; None: its own.

    Returns
    -------
    tuple[Setup, SearchState]
        The fixed parts, and the state after the last epoch that was kept.

    Raises
    ------
    CheckpointError
        When the checkpoint is missing, damaged or another run's.
    ValueError
        When the images are others than the run's. Another truth is what ranking anew is for.
    """
    own = store.read_spec(folder)
    spec = own if spec is None else spec
    setup = build(spec.settings, spec.variants, spec.seed)
    refuse_changed(own.folder, own.contents, {"data": setup.contents["data"]})
    state = initial_state(setup)
    path = folder / store.CHECKPOINT
    try:
        restore(setup, state, checkpoint.load(path, own.digest))
    except FileNotFoundError:
        raise checkpoint.CheckpointError(f"{path}: there is none; `bench run` keeps one") from None
    except MisfitError as error:
        raise checkpoint.CheckpointError(f"{path}: {error}") from None
    return setup, state
