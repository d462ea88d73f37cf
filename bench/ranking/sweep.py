"""One set of checkpoints under many protocols: how much of a τ is the protocol's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.ablation.layers import Layer
from bench.ablation.yamlfile import ConfigError, load
from bench.ranking.measure import measure
from bench.ranking.protocol import Protocol


def read_protocols(path: Path, own: Protocol) -> list[tuple[dict[str, Any], Protocol]]:
    """Read a protocol file: fields, and a ``grid`` of dotted fields with the values to combine.

    Parameters
    ----------
    own
        What fields start from that the file does not name.

    Returns
    -------
    list
        (what was varied, the protocol) for every combination of the grid; one without a grid.

    Raises
    ------
    ConfigError
        One line naming file, line and field.
    """
    document = load(path)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a protocol is a mapping of its fields")
    fields = dict(document.data)
    grid = fields.pop("grid", None) or {}
    where = document.where(("grid",))
    if not isinstance(grid, dict) or not all(isinstance(v, list) and v for v in grid.values()):
        raise ConfigError(f"{where}: grid: expected fields, each with a list of values")
    found = []
    for values in itertools.product(*grid.values()):
        varied = dict(zip(grid, values, strict=True))
        layer = Layer(own.model_dump(mode="json"))
        said = {at: document.where(at) for at in document.lines if at}
        for name, value in fields.items():
            layer.put((name,), value, said)
        for key, value in varied.items():
            at = tuple(key.split("."))
            layer.put(at, value, {at: document.where(("grid", key))})
        found.append((varied, layer.read(Protocol, where)))
    return found


def sweep(
    runs: Sequence[Path],
    protocols: Callable[[Protocol], list[tuple[dict[str, Any], Protocol]]],
    notify: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Rank every run's checkpoint under every protocol.

    Parameters
    ----------
    protocols
        Run's own protocol → (what was varied, protocol).

    Returns
    -------
    pandas.DataFrame
        A row per run and protocol: label, seed, what was varied, and all numbers of the ranking.
    """
    return pd.DataFrame(list(_rows(runs, protocols, notify)))


def _rows(
    runs: Sequence[Path],
    protocols: Callable[[Protocol], list[tuple[dict[str, Any], Protocol]]],
    notify: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    from bench.runs import store  # late: saves start-up time
    from bench.runs.reopen import reopen  # late: saves start-up time
    from bench.runs.run import arithmetic  # late: saves start-up time

    for folder in runs:
        spec = store.read_spec(folder)
        with arithmetic(spec):
            setup, state = reopen(folder)
            for varied, protocol in protocols(spec.settings.ranking or Protocol()):
                numbers = measure(setup, state, protocol).flat()
                yield {"label": spec.label, "seed": spec.seed, **varied, **numbers}
                named = ", ".join(f"{key} {value}" for key, value in varied.items())
                notify(
                    f"{spec.label} seed {spec.seed}: {named}: τ {numbers['tau']:.3f} by accuracy, "
                    f"{numbers['tau_loss']:.3f} by loss"
                )
