"""Sub-networks of a supernet, scored with inherited weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from bench.data._batches import plain_batches
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
    """Score every cell on the same validation images; cells of one class are evaluated once."""
    batches = plain_batches(setup.data.valid, protocol.batch, protocol.images)
    total = sum(len(batch.labels) for batch in batches)
    moment = setup.moment(state, "evaluate")
    known: dict[object, tuple[float, float]] = {}
    for cell in cells:
        key = setup.space.canonical(cell)
        if key in known:
            continue
        mixture = F.one_hot(torch.tensor(cell), len(setup.space.operations)).float().to(setup.device)
        right, loss = 0, 0.0
        for batch in batches:
            logits = setup.logits(state, moment, batch, mixture, setup.space.active(cell), pure=True)
            right += int((logits.argmax(-1) == batch.labels).sum())
            loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
        known[key] = (100 * right / total, loss / total)
    scores = np.array([known[setup.space.canonical(cell)] for cell in cells])
    return Scores(accuracy=scores[:, 0], loss=scores[:, 1])
