"""OLES: an operation stops learning where its training and validation gradients part ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.moment import Moment
from bench.contracts.space import Portion
from bench.contracts.variant import Variant

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Oles(Variant):
    """Freeze the weights of an operation whose gradients disagree: cosine, mean of 20, below 0.4.

    In every weight step the gradient of the validation loss in the weights is taken beside that of the
    training loss, at the same weights and α. For every operation with weights, of every edge of
    every cell, their cosine is averaged over ``window`` steps; where the mean is below ``threshold`` the
    operation has begun to fit the training images alone, and keeps its weights from then on. Then the
    averages begin anew. Operations without weights cannot overfit, and need no favour to win. How
    many are frozen is ``frozen_operations`` in the history.

    It costs a further forward and backward pass of a validation batch per step.

    Paper and code: the paper's cosine is of the whole gradient of an operation (``along: all``). The
    code takes one along the output channels for every other index of a weight and averages them, then
    over the operation's weights (``channels``); it compares with the training gradient of the step
    before, clipped, and sums 21 cosines that it divides by 20. The last three it is not followed in.
    """

    paper: ClassVar[str] = (
        "Jiang et al. 2023, Operation-Level Early Stopping for Robustifying Differentiable NAS "
        "(OLES), NeurIPS"
    )
    off: ClassVar[dict[str, Any] | None] = {"threshold": -1.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"threshold": 0.4, "window": 20, "along": "all"},
        "code": {"threshold": 0.4, "window": 20, "along": "channels"},
    }

    threshold: float = Field(0.4, ge=-1, le=1, description="mean cosine below which it is frozen")
    window: int = Field(20, ge=1, description="steps over which the cosine is averaged")
    along: Literal["all", "channels"] = Field("all", description="what the cosine is taken along")

    def hold_weights(
        self, setup: SearchView, state: StateView, moment: Moment
    ) -> Sequence[Portion]:
        """Compare gradients, freeze what the comparison says, and hold what is frozen."""
        if self.threshold <= -1:
            return ()
        operations = list(state.supernet.operations())
        memory = state.memory.setdefault(self.name, {"frozen": [], "sums": [], "steps": 0})
        if len(memory["sums"]) != len(operations):  # at the start, and where a supernet has grown
            memory |= {"frozen": [], "sums": [0.0] * len(operations), "steps": 0}
        gradients = self._on_validation(setup, state)
        memory["sums"] = [
            total + self.agreement(own, gradients)
            for total, own in zip(memory["sums"], operations, strict=True)
        ]
        memory["steps"] += 1
        if memory["steps"] == self.window:
            parted = {i for i, s in enumerate(memory["sums"]) if self.parts(s / self.window)}
            memory["frozen"] = sorted({*memory["frozen"], *parted})
            memory |= {"sums": [0.0] * len(operations), "steps": 0}
        return [portion for i in memory["frozen"] for portion in operations[i]]

    def parts(self, mean: float) -> bool:
        """Say whether gradients of a mean cosine have parted ways."""
        return mean < self.threshold

    def agreement(self, operation: Sequence[Portion], valid: dict[int, Tensor]) -> float:
        """Return the cosine of an operation's training and validation gradients; 1 where it has none.

        Parameters
        ----------
        valid
            Validation gradients by the ``id`` of the weight; the others are in ``.grad``.
        """
        pairs = [
            (weight.grad[rows], valid[id(weight)][rows])
            for weight, rows in operation
            if weight.grad is not None and id(weight) in valid
        ]
        if not any(bool(a.any()) and bool(b.any()) for a, b in pairs):
            return 1.0  # it was not run: nothing disagrees
        if self.along == "all":
            a, b = (torch.cat([pair[i].flatten() for pair in pairs]) for i in (0, 1))
            return float(F.cosine_similarity(a, b, dim=0))
        each = [F.cosine_similarity(a, b, dim=0).mean() for a, b in pairs]
        return float(torch.stack(each).mean())

    def _on_validation(self, setup: SearchView, state: StateView) -> dict[int, Tensor]:
        """Return ∂L_val/∂w at the present weights and α, by the ``id`` of the weight."""
        moment, batch = setup.moment(state, "architecture"), setup.batch("valid", state.step)
        architecture = {name: value.detach() for name, value in state.architecture.items()}
        mixture = setup.composition.mixture(architecture, moment)
        with torch.enable_grad():
            logits = setup.logits(
                state, moment, batch, mixture, architecture=architecture, pure=True
            )
            weights = list(state.supernet.named.values())
            loss = F.cross_entropy(logits, batch.labels)
            found = torch.autograd.grad(loss, weights, allow_unused=True)
        return {id(w): g for w, g in zip(weights, found, strict=True) if g is not None}

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Say how many operations are frozen."""
        if self.threshold > -1:
            frozen = state.memory.get(self.name, {}).get("frozen", [])
            state.history[-1]["frozen_operations"] = len(frozen)
