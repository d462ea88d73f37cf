"""The operation that the supernet can least do without (DARTS-PT)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.selection._projection import Projection

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Perturbation(Projection):
    """On every edge, keep the operation whose masking costs the supernet most validation accuracy.

    Edges are decided in random order. Masking sets one mixture weight to zero, without
    renormalising; accuracy is the supernet's on the validation half with batch statistics. Of equal
    accuracies the higher loss decides, then the first operation. In between the supernet is tuned
    at a constant rate, w and α, with the edges decided so far one-hot. For the fixed-α form (preset
    ``fixed_alpha``) search with `architecture_warmup` of ``epochs: null`` too.

    In DARTS's own space an edge of the normal and one of the reduction cell are decided between two
    tunings, and then the edges of a node of each: the one whose masking costs least leaves until two
    are left, of equals the last.

    Paper and code: 5 tuning epochs between decisions at a tenth of the search's rate, 0.0025. While
    the code judges a node's further edges, those that have left it are still there, so that on fixed
    images its order is that of one ranking, as here; ``masks_removed: true`` judges without them. Its
    images come in a new order each time, here always in the same. On NAS-Bench-201 the code decides
    the last edge one epoch before the end of its last interval and tunes once more after it, which
    changes no decision but the last one's; here it is decided after the whole interval. The code's
    ties go to the first operation.
    """

    paper: ClassVar[str] = (
        "Wang et al. 2021, Rethinking Architecture Selection in Differentiable NAS (DARTS-PT), "
        "arXiv:2108.04392"
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"epochs": 5, "lr": 0.0025, "learn_alpha": True},
        "fixed_alpha": {"epochs": 5, "lr": 0.0025, "learn_alpha": False},
    }

    def strongest(
        self, setup: SearchView, state: StateView, edge: int, operations: list[int]
    ) -> int:
        """Mask one operation after the other."""
        mixture = setup.mixture(state)
        scores = []
        for operation in operations:
            masked = mixture.clone()
            masked[edge, operation] = 0.0
            scores.append(self._score(setup, state, masked))
        return operations[min(range(len(operations)), key=scores.__getitem__)]

    def importance(
        self, setup: SearchView, stage: SearchView, state: StateView, edge: int, operation: int
    ) -> tuple[float, float]:
        """Mask the whole edge."""
        masked = stage.mixture(state).clone()
        masked[edge] = 0.0
        right, minus_loss = self._score(stage, state, masked)
        return -right, -minus_loss

    @torch.no_grad()
    def _score(self, setup: SearchView, state: StateView, mixture: Tensor) -> tuple[int, float]:
        """Return right answers and minus the summed loss."""
        moment, right, loss = setup.moment(state, "evaluate"), 0, 0.0
        for batch in plain_batches(setup.data.valid, self.batch, self.images):
            logits = setup.logits(state, moment, batch, mixture, pure=True)
            right += int((logits.argmax(-1) == batch.labels).sum())
            loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
        return right, -loss
