"""DrNAS: mixtures drawn from a Dirichlet distribution, with its progressive schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.moment import Moment
from bench.contracts.space import Active, Space
from bench.contracts.stages import stage, within_stage
from bench.contracts.variant import Variant
from bench.streams import generator
from bench.variants._shrinking import strongest

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView


class Drnas(Variant):
    """p ~ Dirichlet(c), c = elu(α) + 1, with the pathwise gradient; measuring sees the mean c/Σc.

    Progressive (``K`` of more than one entry): the search has equal stages, stage i mixes one in
    K[i] channels; between stages the convolutions are widened by copying random channels with their
    momentum (Net2Net) and every edge keeps its ``keep`` strongest operations. α is frozen for the
    share ``warmup`` of each stage. An operation that left is drawn along and the rest renormalised,
    which is again a Dirichlet draw.

    Paper and code: the paper's distance regulariser is Adam's weight decay on α in the code's
    default (here ``search.architecture.weight_decay``), or kl·KL(Dir(c) ‖ Dir(1)) (``kl``); then
    Adam's weight decay is zero, as in the code. The
    paper's NAS-Bench-201 numbers need no progressive schedule (preset ``paper``: 100 epochs, all
    channels); the code has one for that space too (preset ``progressive``: K 4 → 2, operations 5 →
    3, two stages of 50 epochs, α frozen in 10 of each, one cosine over both). There is no off: the
    softmax is gone.
    """

    paper: ClassVar[str] = (
        "Chen et al. 2021, DrNAS: Dirichlet Neural Architecture Search, arXiv:2006.10355"
    )
    ranks_operations: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"K": (1,), "keep": (), "warmup": 0.0, "kl": 0.0},
        "progressive": {"K": (4, 2), "keep": (3,), "warmup": 0.2, "kl": 0.0},
    }

    K: tuple[int, ...] = Field((1,), min_length=1, description="per stage: one in K is mixed")
    keep: tuple[int, ...] = Field((), description="operations per edge, for each later stage")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of a stage in which α is frozen")
    kl: float = Field(0.0, ge=0, description="weight of the KL distance to Dirichlet(1)")

    @model_validator(mode="after")
    def _stages(self) -> Self:
        if self.keep and len(self.keep) != len(self.K) - 1:
            raise ValueError(f"keep: {len(self.K)} stages have {len(self.K) - 1} changes")
        if min(self.K) < 1 or any(a % b for a, b in zip(self.K, self.K[1:], strict=False)):
            raise ValueError("K: every stage's must divide the one before")
        return self

    @property
    def widens(self) -> bool:
        """Where stages differ in K."""
        return len(set(self.K)) > 1

    def supernet_options(self) -> dict[str, Any]:
        """Build for the widest stage, the last."""
        return {"partial": self.K[-1]} if max(self.K) > 1 else {}

    def partial(self, moment: Moment) -> int | None:
        """Return the present stage's K; a stage begins when its widening is done."""
        now = self.K[moment.memory.get(self.name, {}).get("stage", 0)]
        return None if now == self.K[-1] else now

    @property
    def architecture_decay(self) -> float | None:
        """None of Adam's own where the KL distance regularises."""
        return 0.0 if self.kl > 0 else None

    def candidates(self, space: Space, moment: Moment) -> Active | None:
        """Return what the last stages left."""
        kept: Active | None = moment.memory.get(self.name, {}).get("kept")
        return kept

    def updates_architecture(self, moment: Moment) -> bool:
        """Wait for the warm-up of the stage."""
        return within_stage(moment.epoch, moment.epochs, len(self.K)) >= self.warmup

    def relax(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor:
        """Return the drawn mixture [E, O], or the mean while measuring."""
        kept, c = concentration(architecture["alpha"])
        if moment.phase == "evaluate":
            weights = c
        else:
            x = torch._sample_dirichlet(c.detach(), generator=moment.generator(self.name))
            weights = x + pathwise(x, c)
        weights = weights * kept
        return weights / weights.sum(-1, keepdim=True)

    def architecture_loss(self, architecture: dict[str, Tensor], moment: Moment) -> Tensor | None:
        """Return kl·Σ over edges of KL(Dir(c) ‖ Dir(1))."""
        if self.kl == 0:
            return None
        _, c = concentration(architecture["alpha"])
        total, n = c.sum(-1, keepdim=True), torch.tensor(float(c.shape[-1]))
        shift = ((c - 1) * (torch.digamma(c) - torch.digamma(total))).sum(-1)
        volumes = torch.lgamma(total)[:, 0] - torch.lgamma(c).sum(-1) - torch.lgamma(n)
        return self.kl * (volumes + shift).sum()

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Shrink and widen at the end of a stage."""
        epochs, stages = setup.settings.search.epochs, len(self.K)
        before = state.memory.get(self.name, {}).get("stage", 0)
        now = stage(state.epoch, epochs, stages)
        if state.epoch >= epochs or now == before:
            return
        kept = strongest(setup, state, self.keep[now - 1]) if self.keep else None
        buffers = state.weight_optimizer.state
        state.supernet.widen(
            self.K[before],
            self.K[now],
            lambda w: buffers[w].get("momentum_buffer"),
            generator("cpu", setup.seed, self.name, now),
        )
        state.memory[self.name] = {"stage": now, "kept": kept}


def concentration(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return which operations compete [E, O], and c = elu(α) + 1, which is 1 for the others."""
    kept = torch.isfinite(alpha)
    return kept, F.elu(torch.where(kept, alpha, 0.0)) + 1


def pathwise(x: Tensor, c: Tensor) -> Tensor:
    """Return zero with the derivative of a Dirichlet draw x in c: ∂x_i/∂c_j = d_j·(δ_ij − x_i).

    d_j is torch's ``_dirichlet_grad``. Written out like this it can be differentiated in every
    mode, once; its second derivative is not that of x.
    """
    total = c.detach().sum(-1, keepdim=True).expand_as(c)
    moved = torch._dirichlet_grad(x, c.detach(), total) * (c - c.detach())
    return moved - x * moved.sum(-1, keepdim=True)
