"""DropNAS: operations are dropped at random in every step, so that none can rely on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.variant import ArchitectureStep, Variant


class DropNas(Variant):
    """Drop operations of every edge, anew in each step and the same in both of its updates.

    The operations of an edge with weights are one group, those without (`none` included) another.
    Each is dropped with probability r^(1/n), n the size of its group, so that r is the probability of
    losing the whole group; a draw that would is drawn again. The softmax is over those that are
    left. Nothing is dropped while measuring.

    ``adjust`` (α-adjust): what is dropped keeps its α, and α of the others is shifted together after
    the update, so that all of them have as much of the softmax over all operations as before. Without it
    whoever is there when the loss falls gains on whoever is not.

    At the paper's rate operations are dropped rarely: 7 % of them in the DARTS space, 0.5 % of the
    convolutions and 3 % of the others in NAS-Bench-201. As a control that forbids co-adaptation
    take a rate of 0.1, which drops a third and nearly half of them there.

    Paper and code: partial decay, no weight decay on what is dropped, is ``search.weights.unused:
    leave`` for the weights; of α it is a part of ``adjust``. In the code Adam's momentum still moves
    dropped α, which here it does not. The paper trains w and α on one loss over the same data; add
    `one_level` for that. Its pools end in batch norm: add `norm_on_weight_free`. Other numbers of its
    search are settings: 76 epochs, batch 96, lr 0.0375 → 0.0015, clip 3.
    """

    paper: ClassVar[str] = (
        "Hong et al. 2020, DropNAS: Grouped Operation Dropout for Differentiable Architecture "
        "Search, arXiv:2201.11679"
    )
    off: ClassVar[dict[str, Any] | None] = {"rate": 0.0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"rate": 3e-5, "adjust": True}}

    rate: float = Field(3e-5, ge=0, lt=1, description="r, probability of losing a whole group")
    adjust: bool = Field(True, description="whether α of dropped operations is protected")

    def drop(self, space: Space, kept: Active | None, moment: Moment) -> Active | None:
        """Draw which of the operations that compete are left in this step."""
        if self.rate == 0 or moment.phase == "evaluate":
            return kept
        competing = kept or [range(len(space.operations))] * len(space.edges)
        # One draw for both updates of a step, and for all passes of it.
        key = replace(moment, phase="weights", part=0).generator(self.name).initial_seed()
        draws, found = torch.Generator().manual_seed(key), []
        for row in competing:
            free = [o for o in row if space.operations[o] in space.weight_free]
            groups = [g for g in ([o for o in row if o not in free], free) if g]
            found.append(sorted(o for group in groups for o in self._left(group, draws)))
        return found

    def _left(self, group: list[int], draws: torch.Generator) -> list[int]:
        """Draw who of a group stays; never nobody."""
        probability = self.rate ** (1 / len(group))
        while True:
            drawn = torch.rand(len(group), generator=draws).tolist()
            if left := [o for o, u in zip(group, drawn, strict=True) if u >= probability]:
                return left

    def step_architecture(self, step: ArchitectureStep, moment: Moment) -> Mapping[str, Tensor]:
        """Hold α of what was dropped, and what the others together have of the softmax."""
        if not self.adjust or self.rate == 0 or step.kept is None:
            return step.after
        before, after = step.before["alpha"], step.after["alpha"].clone()
        for edge, own in enumerate(step.kept):
            if len(rows := list(own)) == after.shape[-1]:
                continue
            moved = after[edge, rows]
            shift = before[edge, rows].logsumexp(-1) - moved.logsumexp(-1)
            after[edge] = before[edge]
            after[edge, rows] = moved + shift
        return {**step.after, "alpha": after}
