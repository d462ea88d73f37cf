"""One set of checkpoints under many protocols: how much of a τ is the protocol's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from bench.ablation.file import first_error
from bench.ablation.yamlfile import ConfigError, dotted, load
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
        merged = _merge(own.model_dump(mode="json"), fields)
        for key, value in varied.items():
            merged = _merge(merged, _nested(key.split("."), value))
        try:
            found.append((varied, Protocol.model_validate(merged)))
        except ValidationError as error:
            place, message = first_error(error)
            line = document.where(place) if place and place[0] in fields else where
            raise ConfigError(f"{line}: {dotted(place)}: {message}") from None
    return found


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value) if len(keys) > 1 else value}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` put on it, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        inside = merged.get(key)
        both = isinstance(inside, dict) and isinstance(value, dict)
        merged[key] = _merge(inside, value) if both else value  # type: ignore[arg-type]
    return merged


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
    from bench.runs import store
    from bench.runs.reopen import reopen
    from bench.runs.run import arithmetic

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
