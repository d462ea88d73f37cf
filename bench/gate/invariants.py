"""What must hold whatever is recorded: the truth is the 200-epoch one, and scores do not leak."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.contracts.space import Space
from bench.contracts.truth import Truth
from bench.devices import computing
from bench.gate.searches import JUDGED, prepare
from bench.gate.traces import BATCH_NORMS, Finding, protocol, trace
from bench.ranking.evaluate import evaluate
from bench.search.setup import Setup

EPOCHS = 200


def judged() -> tuple[Setup, Truth]:
    """Return a judged search's setup and the truth in it, as the search gets it."""
    setup, _ = prepare("truth", next(iter(JUDGED.values())), 0)
    assert setup.truth is not None
    return setup, setup.truth


def fingerprint(truth: Truth) -> dict[str, Any]:
    """Say which truth it is without giving any of it away: what was measured, and two hashes."""
    names = sorted(truth.accuracy)
    values = [f"{value:.4f}" for value in truth.mean(names)]
    table = hashlib.sha256("\n".join([*names, *values]).encode()).hexdigest()
    return {
        "dataset": truth.dataset,
        "split": truth.split,
        "budget": truth.budget,
        "file_sha256": truth.sha256,
        "table_sha256": table,
    }


def findings(recorded: dict[str, Any]) -> list[Finding]:
    """Check everything that is yes or no.

    Parameters
    ----------
    recorded
        The fingerprint of the truth that the baseline was recorded with.
    """
    with computing(1, deterministic=True):
        setup, truth = judged()
        return [*_truth(truth, recorded), _default_column(), _look_up(setup, truth), *_leaks()]


def _truth(truth: Truth, recorded: dict[str, Any]) -> Iterator[Finding]:
    found = fingerprint(truth)
    measured = f"{found['dataset']}, {found['split']}, {found['budget']} epochs"
    yield Finding(
        "truth: budget", found["budget"] == EPOCHS, f"{measured}; {EPOCHS} epochs are wanted"
    )
    other = [key for key, value in recorded.items() if found.get(key) != value]
    detail = f"differs in {', '.join(other)}" if other else "matches"
    yield Finding("truth: the recorded table", not other, detail)


def _default_column() -> Finding:
    """Read a table that holds both budgets and say neither: 200 epochs is what must come out."""
    from bench.contracts import registry  # late: saves start-up time
    from bench.spaces.nb201 import cells  # late: saves start-up time

    known = [cells.encode(cell) for cell in cells.unique()[:3]]
    rows = [f"{name},{50 + i},{90 + i}" for i, name in enumerate(known)]
    text = "\n".join(["arch,cifar10_test_12,cifar10_test_200", *rows]) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.csv"
        path.write_text(text, encoding="utf-8")
        truth = registry.parse("truth", {"name": "table", "path": str(path)}).load()
    right = truth.budget == EPOCHS and np.allclose(truth.mean(known), [90, 91, 92])
    detail = f"a table's default column is {truth.dataset}_{truth.split}_{truth.budget}"
    return Finding("truth: default column", bool(right), detail)


def _look_up(setup: Setup, truth: Truth) -> Finding:
    """Look cells up: each must be worth its own row of the table."""
    from bench.runs.run import judge_cell  # late: saves start-up time

    wrong = [
        name
        for cell in list(setup.space.unique())[::1000]
        if judge_cell(setup, cell)["true_accuracy"]
        != float(np.nanmean(truth.accuracy[name := setup.space.encode(cell)]))
    ]
    detail = f"wrong for {wrong[0]}" if wrong else "a cell is worth its own row"
    return Finding("truth: look-up", not wrong, detail)


def _leaks() -> Iterator[Finding]:
    """Score cells in several orders and alone: nothing of one may reach another or the supernet."""
    _, setup, state = trace("uniform_sampling")
    cells = protocol("batch").population.draw(setup.space).cells[:5]
    before = _bytes(state.supernet)
    for kind in BATCH_NORMS:
        chosen = protocol(kind)
        forth = evaluate(setup, state, cells, chosen).loss
        back = evaluate(setup, state, cells[::-1], chosen).loss[::-1]
        alone = [evaluate(setup, state, [cell], chosen).loss[0] for cell in cells]
        # The same sums in the same order: exactly equal, or something is carried over.
        same = np.array_equal(forth, back) and np.array_equal(forth, alone)
        name = _example(setup.space, cells, forth, back, np.array(alone))
        detail = "the same in any order" if same else f"the score of {name} depends on the others"
        yield Finding(f"ranking: no leak, {kind} statistics", same, detail)
    same = _bytes(state.supernet) == before
    detail = "left as it was" if same else "ranking changed weights or running statistics"
    yield Finding("ranking: supernet untouched", same, detail)


def _example(space: Space, cells: list[Any], *scores: np.ndarray) -> str:
    off = np.ptp(np.stack(scores), axis=0)
    return space.encode(cells[int(np.nanargmax(off))]) if np.isfinite(off).any() else "a cell"


def _bytes(module: torch.nn.Module) -> str:
    """Hash all weights and buffers."""
    parts = {
        name: hashlib.sha256(value.detach().cpu().numpy().tobytes()).hexdigest()
        for name, value in module.state_dict().items()
    }
    return json.dumps(parts, sort_keys=True)
