"""What is known of single cells: for `bench truth query`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bench.contracts.space import Architecture, Space
from bench.contracts.truth import Truth
from bench.written import finite

NEAREST = 5
"""Cells of which the nearest are shown."""


def read_cell(text: str, space: Space) -> Architecture:
    """Read a cell as people name it: its string, its operations' numbers, or its index.

    ``(3, 1, 3, 1, 1, 3)`` and ``3,1,3,1,1,3`` are operations in the order of the space; a whole number
    is the position in the space's enumeration.

    Raises
    ------
    ValueError
        One line that says what was expected.
    """
    said = text.strip()
    bare = said.strip("()[] ").replace(" ", "")
    if bare.isdecimal() and len(space.edges) > 1:
        if not space.enumerable:
            raise ValueError(f"{said}: {space.name} is not enumerated; name the cell by its string")
        every = _enumerated(space)
        if int(bare) >= len(every):
            raise ValueError(f"{said}: {space.name} has the cells 0 to {len(every) - 1:,}")
        return every[int(bare)]
    if bare.replace(",", "").replace("-", "").isdecimal() and "," in bare:
        cell = tuple(int(part) for part in bare.split(",") if part)
        if len(cell) != len(space.edges) or not all(-1 <= o < len(space.operations) for o in cell):
            named = ", ".join(f"{i} {name}" for i, name in enumerate(space.operations))
            raise ValueError(
                f"{said}: expected {len(space.edges)} operations of {space.name}: {named}"
            )
        return space.decode(space.encode(cell))
    try:
        return space.decode(said)
    except ValueError as error:
        raise ValueError(f"{said}: {error}") from None


def known(cell: Architecture, truths: Sequence[Truth], space: Space) -> dict[str, Any]:
    """Return everything that is known of a cell: what it is, and every measurement of it."""
    text = space.encode(cell)
    measured = {}
    for truth in truths:
        row = truth.accuracy.get(truth.known_as(text))
        mean = float(truth.mean([text])[0])
        measured[f"{truth.dataset}_{truth.split}_{truth.budget}"] = {
            "mean": finite(mean),
            "seeds": [] if row is None else [finite(float(v)) for v in row],
            "of_an_isomorphic_cell": row is not None and truth.known_as(text) != text,
            "regret": finite(truth.best - mean),
            "percentile": finite(truth.percentile(mean)),
            "nearest": nearest(text, truth, space),
        }
    found: dict[str, Any] = {"cell": text, "operations": list(cell)}
    if space.enumerable:
        found["index"] = _enumerated(space).index(cell)
    return found | {
        **space.describe(cell),
        "connected": space.connected(cell),
        "canonical": str(space.canonical(cell)),
        **size(cell, space),
        "measured": measured,
    }


def size(
    cell: Architecture, space: Space, resolution: int = 32, classes: int = 10
) -> dict[str, float]:
    """Count weights and multiply–adds of the network that is trained on its own (32x32, 3 colours).

    At the sizes at which the space's architectures are evaluated.
    """
    sizes = {
        name: value for name, value in space.evaluated.items() if name in type(space).model_fields
    }
    space = space.model_copy(update=sizes)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        net = space.standalone(cell, 3, classes, seed=0).eval()
        total = 0

        def count(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
            nonlocal total
            if isinstance(module, torch.nn.Conv2d):
                total += output.numel() * module.weight[0].numel()
            elif isinstance(module, torch.nn.Linear):
                total += output.numel() * module.in_features

        handles = [module.register_forward_hook(count) for module in net.modules()]
        net(torch.zeros(1, 3, resolution, resolution))
        for handle in handles:
            handle.remove()
    return {"weights": net.count(), "multiply_adds": total}


def nearest(text: str, truth: Truth, space: Space) -> list[dict[str, Any]]:
    """Return the cells of the table that differ in the fewest edges, the best first of equals."""
    cell = space.decode(text)
    reference = list(truth.reference)
    if not reference or not space.enumerable:
        return []
    means = truth.mean(reference)
    apart = (_operations(tuple(reference), space) != np.array(cell)).sum(axis=1)
    order = np.lexsort((-np.nan_to_num(means), apart))
    chosen = [i for i in order[: NEAREST + 1].tolist() if reference[i] != text][:NEAREST]
    return [
        {"cell": reference[i], "edges_apart": int(apart[i]), "mean": finite(float(means[i]))}
        for i in chosen
    ]


@functools.lru_cache(maxsize=4)
def _operations(names: tuple[str, ...], space: Space) -> Any:
    return np.array([space.decode(name) for name in names])


@functools.lru_cache(maxsize=4)
def _enumerated(space: Space) -> list[Architecture]:
    return list(space.architectures())
