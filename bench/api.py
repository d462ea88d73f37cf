"""What Python programs use; everything here is offered by `bench` itself and loaded when it is used."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from bench.ablation.file import Ablation, read_ablation
from bench.ablation.layers import Layer
from bench.contracts import plugins, registry
from bench.contracts.truth import Truth
from bench.ranking import listed
from bench.ranking.listed import Listed
from bench.search.loop import Interrupted
from bench.search.loop import search as run_search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from bench.contracts.space import Supernet

SMALL: dict[str, Any] = {
    "space": {"name": "nb201", "channels": 4, "cells": 1},
    "data": {"name": "digits", "size": 256},
    "search": {"epochs": 5, "batch": 32},
    "device": "cpu",
    "ranking": None,
}
"""Settings of `Search` where none are given: a search of seconds."""


def use_plugins(*paths: str | Path) -> None:
    """Name files or folders of members of one's own, as ``--plugins`` does."""
    for path in paths:
        plugins.use(Path(path))


def make_ablation(
    file: str | Path | Mapping[str, Any],
    profile: str | Path | Mapping[str, Any] = "quick",
    *,
    name: str = "ablation",
    sets: Sequence[str] = (),
    seeds: int | Sequence[int] | None = None,
) -> Ablation:
    """Read an ablation, or build one.

    Parameters
    ----------
    file
        A path (``ablations/skip_dropout.yaml``), or what would stand in a file: ``question``,
        ``contrast``, ``space``, ``variants``.
    profile
        A profile's name or path, or its settings.
    name
        What it is called where it is built.
    sets
        ``key=value`` as with ``--set``.
    seeds
        How many, or which; None: as the profile says.

    Raises
    ------
    bench.ablation.yamlfile.ConfigError
        One line naming file, line and field.
    """
    if seeds is not None:
        sets = [*sets, f"seeds={seeds if isinstance(seeds, int) else list(seeds)}"]
    with tempfile.TemporaryDirectory() as place:
        # Through the same reader as files, so that the same is refused in the same words.
        path = _written(file, Path(place) / f"{name}.yaml")
        own = _written(profile, Path(place) / "profile.yaml") if _is_plain(profile) else profile
        return read_ablation(path, str(own), list(sets))


def _is_plain(value: Any) -> bool:
    return isinstance(value, Mapping)


def _written(content: Any, path: Path) -> Path:
    if not _is_plain(content):
        return Path(content)
    path.write_text(
        yaml.safe_dump(copy.deepcopy(dict(content)), sort_keys=False, allow_unicode=True)
    )
    return path


class Results:
    """What an output folder or a folder of results says, as pandas frames.

    Parameters
    ----------
    root
        What `run`, ``bench run`` or ``bench pack`` wrote.
    """

    def __init__(self, root: str | Path) -> None:
        from bench.report.summary import Summary  # late: draws in matplotlib

        self.summary = Summary.read(Path(root))

    @property
    def answer(self) -> str:
        """The answer to the ablation's question, in sentences."""
        return self.summary.answer

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table by name: ``variants``, ``runs``, ``history``, ``alphas``, ``rankings``."""
        from bench.exports.parquet import frames  # late: only where tables are asked for

        return frames(self.summary)

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run."""
        return self.summary.runs

    @property
    def variants(self) -> pd.DataFrame:
        """One row per variant, with intervals and differences."""
        return self.summary.variants

    @property
    def history(self) -> pd.DataFrame:
        """What was recorded per epoch, long."""
        return self.summary.history

    @property
    def figures(self) -> dict[str, str]:
        """The page's figures: name → title."""
        from bench.report import axes  # late: draws in matplotlib

        return axes.names(self.summary)

    def plot(self, name: str, axes: Axes | None = None) -> Figure:
        """Draw one of `figures` (``NAME:2``: its second panel) on axes, or on a figure of its own."""
        from bench.report.axes import draw  # late: draws in matplotlib

        return draw(self.summary, name, axes)


def run(
    asked: Ablation,
    output: str | Path,
    *,
    executor: str = "processes",
    jobs: int | None = None,
    only: Sequence[str] = (),
    force: bool = False,
) -> Results:
    """Run or resume an ablation in an output folder and return its results.

    Where its seeds are open (``{until: decided}``), pairs are added as with ``bench run``.

    What is done is kept, as with ``bench run``, and either can go on where the other stopped. From
    a script that uses ``executor="processes"`` call it under ``if __name__ == "__main__":``.

    Raises
    ------
    KeyboardInterrupt
        When it was asked to stop; runs that were under way left a checkpoint.
    """
    from bench.contracts.executor import Job  # late: executors start processes
    from bench.executors._options import make  # late: as above
    from bench.report.growing import grow  # late: as above
    from bench.runs.campaign import Campaign  # late: as above
    from bench.runs.contents import Contents  # late: as above
    from bench.runs.record import record  # late: as above
    from bench.runs.spec import plan  # late: as above

    hashes, root, told = Contents(), Path(output), "bench.run(...)"
    specs, chosen = plan(asked, only, hashes), make(executor, jobs)
    campaign = Campaign(root, specs if asked.until is None else [], contents=hashes)
    growth = None
    if asked.until is not None:
        growth = grow(asked, campaign, specs, chosen.slots(Job(spec=specs[0], folder=root)))
    listed_runs = 0

    def watch() -> None:
        nonlocal listed_runs
        if growth is not None and len(campaign.specs) != listed_runs:
            listed_runs = len(campaign.specs)
            record(asked, campaign.specs, root, told, hashes)

    record(asked, campaign.specs, root, told, hashes)
    campaign.run(chosen, watch, force=force, growth=growth)
    if growth is not None and not campaign.interrupted:
        record(asked, campaign.specs, root, told, hashes, final=True)
    if campaign.interrupted:
        raise KeyboardInterrupt
    return Results(root)


class Search:
    """One search, step by step, with its state.

    Parameters
    ----------
    settings
        As in a profile; None: a search of seconds on digits.
    variants
        Names, or mappings with ``name`` and parameters.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        variants: Sequence[str | Mapping[str, Any]] = (),
        seed: int = 0,
    ) -> None:
        found = [registry.parse("variants", v if isinstance(v, str) else dict(v)) for v in variants]
        read = Settings.model_validate(dict(SMALL if settings is None else settings))
        self.setup = build(read, found, seed)
        self.state = initial_state(self.setup)

    @property
    def alpha(self) -> Tensor:
        """The architecture parameters [edges, operations]; a copy."""
        return self.state.architecture["alpha"].detach().clone()

    @property
    def mixture(self) -> Tensor:
        """The present mixture weights [edges, operations]."""
        return self.setup.mixture(self.state)

    @property
    def supernet(self) -> Supernet:
        """The network with all operations on all edges; the search's own, not a copy."""
        return self.state.supernet

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was recorded after every epoch."""
        return self.state.history

    @property
    def over(self) -> bool:
        """Whether the search has ended."""
        whole = self.state.epoch >= self.setup.settings.search.epochs
        return whole or self.state.stopped is not None

    def step(self) -> bool:
        """Do one bilevel step; False once the search has ended.

        The record of an epoch is made when the step after it is asked for.
        """
        try:
            run_search(self.setup, self.state, asked_to_stop=lambda: True)
        except Interrupted:
            return True
        return False

    def epochs(self) -> Iterator[dict[str, Any]]:
        """Go on epoch by epoch, and yield the record of each."""
        while not self.over:
            reached = self.state.epoch
            with contextlib.suppress(_PausedError):
                run_search(self.setup, self.state, after_epoch=_pause)
            if self.state.epoch > reached:
                yield self.history[-1]

    def cell(self, rule: str | Mapping[str, Any] = "argmax") -> str:
        """Read a cell off the supernet by a selection rule; its text, as the space writes it."""
        found = registry.parse("selection", rule if isinstance(rule, str) else dict(rule))
        return self.setup.space.encode(found.select(self.setup, self.state))


class _PausedError(Exception):
    """The epoch is over."""


def _pause(state: Any) -> None:
    raise _PausedError


def load_truth(name: str | Mapping[str, Any] = "analog") -> Truth:
    """Load a truth: its name, or a mapping with ``name`` and parameters (``table``, ``path``)."""
    found: Truth = registry.parse("truth", name if isinstance(name, str) else dict(name)).load()
    return found


def rank(
    scores: Mapping[str, float] | str | Path,
    against: str | Mapping[str, Any] | Truth = "analog",
    *,
    column: str = "score",
    lower_is_better: bool = False,
) -> Listed:
    """Rank scores of cells against a truth: τ with its interval, panel, baseline and hash.

    Parameters
    ----------
    scores
        Cell → score, or a CSV file with ``arch`` and ``score``.
    """
    known = against if isinstance(against, Truth) else load_truth(against)
    if isinstance(scores, Mapping):
        found = {known.space.spell(cell): float(value) for cell, value in scores.items()}
    else:
        found = listed.read(Path(scores), known, column)
    return listed.rank(found, known, lower_is_better=lower_is_better)


def query(
    cell: str | int | Sequence[int], against: str | Mapping[str, Any] | Truth = "analog"
) -> dict[str, Any]:
    """Return what is known of a cell: string, operations or index; accuracies, size, neighbours."""
    from bench.truth._query import known, read_cell  # late: builds networks

    table = against if isinstance(against, Truth) else load_truth(against)
    text = cell if isinstance(cell, str | int) else ",".join(map(str, cell))
    return known(read_cell(str(text), table.space), [table], table.space)


def train(
    cell: str,
    data: str | Mapping[str, Any] = "cifar10",
    *,
    output: str | Path | None = None,
    seed: int = 0,
    space: Mapping[str, Any] | None = None,
    **recipe: Any,
) -> dict[str, Any]:
    """Train one cell from scratch and test it once, as ``bench evaluate`` does.

    Parameters
    ----------
    space
        Fields of the cell's space: ``channels``, ``cells``.
    recipe
        Fields of the recipe: ``epochs``, ``batch``, ``lr``, …
    """
    from bench.training.asked import read  # late: trains networks
    from bench.training.train import evaluate  # late: as above

    given: dict[str, Any] = {"data": data if isinstance(data, str) else dict(data), **recipe}
    if space:
        given["space"] = dict(space)
    evaluation = read(cell, Layer(given), seed)
    return evaluate(evaluation, None if output is None else Path(output))
