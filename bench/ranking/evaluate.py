"""Sub-networks of a supernet, scored with inherited weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.contracts.data import Batch
from bench.contracts.space import Architecture
from bench.ranking.protocol import Protocol

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


@dataclass(frozen=True)
class Scores:
    """Scores of N architectures, in their order.

    Attributes
    ----------
    accuracy
        Percent [N].
    loss
        Mean cross-entropy [N].
    """

    accuracy: NDArray[np.float64]
    loss: NDArray[np.float64]


@torch.no_grad()
def evaluate(
    setup: SearchView, state: StateView, cells: Sequence[Architecture], protocol: Protocol
) -> Scores:
    """Score every cell on the same validation images.

    Isomorphic cells are scored each on its own: in a supernet the same function stands on other
    edges, with other weights, and gets another score. Memory does not grow with the cells.

    Parameters
    ----------
    setup, state
        The search whose weights are inherited.
    cells
        Architectures [N].
    protocol
        Images, batch statistics and path weights.

    Returns
    -------
    Scores
        Accuracy (percent) and loss (nats) of every cell [N].

    Raises
    ------
    ValueError
        When running statistics are asked for and the supernet has none.
    """
    if protocol.batch_norm == "running" and not setup.running_statistics(state):
        raise ValueError("ranking.batch_norm: running needs space.running_statistics: true")
    row = {cell: i for i, cell in enumerate(dict.fromkeys(cells))}
    distinct = list(row)
    right, loss, seen = np.zeros(len(distinct)), np.zeros(len(distinct)), 0
    calibration = None
    if protocol.batch_norm == "recalibrated":
        # One batch: its statistics are those of all its images together.
        size = min(protocol.calibration, len(setup.data.train))
        (calibration,) = plain_batches(setup.data.train, size, size)
    mode = state.supernet.training
    state.supernet.train(protocol.batch_norm != "running")
    try:
        for batch in plain_batches(setup.data.valid, protocol.batch, protocol.images):
            seen += len(batch.labels)
            for i, logits in path_logits(setup, state, batch, distinct, protocol, calibration):
                right[i] += int((logits.argmax(-1) == batch.labels).sum())
                loss[i] += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
    finally:
        state.supernet.train(mode)
    rows = [row[cell] for cell in cells]
    return Scores(accuracy=100 * right[rows] / seen, loss=loss[rows] / seen)


def path_logits(
    setup: SearchView,
    state: StateView,
    batch: Batch,
    cells: Sequence[Architecture],
    protocol: Protocol,
    calibration: Batch | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield (position, logits of the batch's images) of every cell.

    Calibration images go in front of the batch and all statistics come from them, so that one pass
    does both. Work is shared between cells where no variant acts inside them.
    """
    moment = setup.moment(state, "evaluate")
    front = 0 if calibration is None else len(calibration.labels)
    if calibration is not None:
        batch = replace(batch, images=torch.cat([calibration.images, batch.images]))
    rows = front or len(batch.images)
    shared = (
        protocol.paths == "one_hot"
        and setup.composition.hooks(state.architecture, moment) is None
        and setup.settings.search.precision == "float32"
    )
    with state.supernet.statistics_from(None if protocol.batch_norm == "running" else rows):
        if shared:
            for i, logits in state.supernet.paths(batch.images, cells):
                yield i, logits[front:]
            return
        weight = setup.mixture(state)
        for i, cell in enumerate(cells):
            mixture = setup.space.one_hot(cell).to(weight)
            if protocol.paths == "alpha_weighted":
                mixture = mixture * weight
            active = setup.space.active(cell)
            yield i, setup.logits(state, moment, batch, mixture, active, pure=True)[front:]
