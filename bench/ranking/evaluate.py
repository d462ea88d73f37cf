"""Sub-networks of a supernet, scored with inherited weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.data._batches import Batch, plain_batches
from bench.ranking.protocol import Protocol
from bench.spaces import Architecture

if TYPE_CHECKING:
    from bench.setup import Setup
    from bench.state import SearchState


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
    setup: Setup, state: SearchState, cells: Sequence[Architecture], protocol: Protocol
) -> Scores:
    """Score every cell on the same validation images.

    Isomorphic cells are scored each on its own: in a supernet the same function stands on other
    edges, with other weights, and gets another score.
    """
    row = {cell: i for i, cell in enumerate(dict.fromkeys(cells))}
    distinct = list(row)
    right, loss, seen = np.zeros(len(distinct)), np.zeros(len(distinct)), 0
    for batch in plain_batches(setup.data.valid, protocol.batch, protocol.images):
        seen += len(batch.labels)
        for i, logits in path_logits(setup, state, batch, distinct):
            right[i] += int((logits.argmax(-1) == batch.labels).sum())
            loss[i] += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
    rows = [row[cell] for cell in cells]
    return Scores(accuracy=100 * right[rows] / seen, loss=loss[rows] / seen)


def path_logits(
    setup: Setup, state: SearchState, batch: Batch, cells: Sequence[Architecture]
) -> Iterator[tuple[int, Tensor]]:
    """Yield (position, logits) of every cell; shared work where no variant acts inside cells."""
    moment = setup.moment(state, "evaluate")
    plain = (
        setup.composition.hooks(state.architecture, moment) is None
        and setup.settings.search.precision == "float32"
        and not setup.running_statistics(state)
    )
    if plain:
        yield from state.supernet.paths(batch.images, cells)
        return
    for i, cell in enumerate(cells):
        mixture = (
            F.one_hot(torch.tensor(cell), len(setup.space.operations)).float().to(setup.device)
        )
        yield i, setup.logits(state, moment, batch, mixture, setup.space.active(cell), pure=True)
