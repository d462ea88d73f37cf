"""Partial channels (PC-DARTS): only a part of every node goes through the mixture."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.contracts.space import Space
from bench.contracts.variant import Site, Variant
from bench.streams import generator
from bench.variants._durations import Duration, in_epochs


class PartialChannels(Variant):
    """The first C/K channels are mixed, the rest bypass; β weighs the edges of a node.

    An edge gives shuffle(concat(Σ_o p_o·o(x[:C/K]), x[C/K:])), times softmax(β) over the edges that
    enter the same node (edge normalisation). α and β start to learn after ``warmup``.

    Paper and code: the paper samples the channels, the code takes the first C/K and relies on the
    shuffle to move them, as done here (``shuffle: false`` mixes the same channels always). The code
    trains with batch 256, lr 0.1 and α lr 6e-4: override ``search`` for these. Where a node keeps
    some of its edges only, those are chosen by p·β; NAS-Bench-201 keeps them all. The PC-DARTS row
    that is published for NAS-Bench-201 is from DrNAS's code, which has neither β nor a warm-up: preset
    ``drnas``, not ``paper``.
    """

    paper: ClassVar[str] = (
        "Xu et al. 2020, PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture "
        "Search, arXiv:1907.05737"
    )
    off: ClassVar[dict[str, Any] | None] = {"K": 1, "edge_normalisation": False, "warmup": 0}
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"K": 4, "edge_normalisation": True, "shuffle": True, "warmup": 0.3},  # 15 of 50
        "drnas": {"K": 4, "edge_normalisation": False, "shuffle": True, "warmup": 0},
    }

    K: int = Field(4, ge=1, description="one in K channels is mixed")
    edge_normalisation: bool = Field(True, description="learn β, a weight for every edge")
    shuffle: bool = Field(True, description="interleave mixed and bypassed channels")
    warmup: Duration = Field(0.3, description="α is frozen so long: epochs, or a share below 1")

    def supernet_options(self) -> dict[str, Any]:
        """Build convolutions of C/K channels."""
        return {"partial": self.K, "shuffled": self.shuffle} if self.K > 1 else {}

    def parameters(self, space: Space, seed: int) -> dict[str, Tensor]:
        """Add β [E], small and random as in the code."""
        draws = generator("cpu", seed, self.name)
        beta = 1e-3 * torch.randn(len(space.edges), generator=draws)
        return {"beta": beta} if self.edge_normalisation else {}

    def edge(
        self, y: Tensor, x: Tensor, site: Site, architecture: dict[str, Tensor], moment: Moment
    ) -> Tensor:
        """Weigh the edge, bypassed channels included."""
        if not self.edge_normalisation:
            return y
        shares = architecture["beta"][list(site.siblings)].softmax(0)
        return y * shares[site.siblings.index(site.edge)]

    def edge_strength(self, space: Space, architecture: dict[str, Tensor]) -> Tensor | None:
        """Return β's shares within every node."""
        if not self.edge_normalisation:
            return None
        ends = torch.tensor([target for _, target in space.edges])
        beta = architecture["beta"].detach()
        shares = torch.empty_like(beta)
        for end in sorted({target for _, target in space.edges}):
            rows = (ends == end).to(beta.device)
            shares[rows] = beta[rows].softmax(0)
        return shares

    def updates_architecture(self, moment: Moment) -> bool:
        """Wait for the warm-up."""
        return moment.epoch >= in_epochs(self.warmup, moment.epochs)
