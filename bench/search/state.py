"""Everything that a search carries from one step to the next, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.contracts.search import StateView
from bench.contracts.space import Supernet
from bench.runs import fit


@dataclass
class SearchState:
    """The state of one search; with the `Setup` it determines all that follows.

    There are no generators here: random streams are functions of the seed and of ``step``
    (`bench.streams`), so that the position is all there is to save.

    Attributes
    ----------
    architecture
        Architecture parameters by name; ``alpha`` [edges, operations] is always there.
    step, epoch
        Bilevel steps and epochs done.
    running
        Sums since the epoch began: ``loss``, ``right``, ``seen``.
    history
        One record per finished epoch.
    memory
        What variants keep between epochs, by variant.
    hypergradient
        What an estimator that is trained in the loop has learned; empty for all others.
    stopped
        Why the search ended early, and the epoch whose cell counts.
    """

    supernet: Supernet
    architecture: dict[str, Tensor]
    weight_optimizer: torch.optim.SGD
    architecture_optimizer: torch.optim.Adam
    step: int = 0
    epoch: int = 0
    running: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("loss", "right", "seen"), 0.0)
    )
    history: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    hypergradient: dict[str, Tensor] = field(default_factory=dict)
    stopped: dict[str, Any] | None = None

    @classmethod
    def of(cls, view: StateView) -> SearchState:
        """Return the state behind what a hook was given, for a member that steps the loop itself."""
        if not isinstance(view, cls):
            raise TypeError(f"expected a {cls.__name__}, not a {type(view).__name__}")
        return view

    def to_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only, for a checkpoint."""
        return {
            "supernet": self.supernet.state_dict(),
            "compiled": self.supernet.compiled,
            "inductor": self.supernet.inductor is not None,
            "architecture": dict(self.architecture),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "architecture_optimizer": self.architecture_optimizer.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "running": self.running,
            "history": self.history,
            "memory": self.memory,
            "hypergradient": self.hypergradient,
            "stopped": self.stopped,
        }

    def adopt(self, other: SearchState) -> None:
        """Take over what another state has learned with: networks, α and optimisers."""
        self.supernet, self.architecture = other.supernet, other.architecture
        self.weight_optimizer = other.weight_optimizer
        self.architecture_optimizer = other.architecture_optimizer
        self.hypergradient = other.hypergradient

    @torch.no_grad()
    def load_dict(self, saved: dict[str, Any]) -> None:
        """Take over what `to_dict` gave; `bench.runs.restore` checks all of it for a resume.

        Raises
        ------
        MisfitError
            Where weights or architecture are not of the shapes and types of this state's.
        """
        fit.same(saved["supernet"], dict(self.supernet.state_dict()), "supernet")
        fit.same(saved["architecture"], self.architecture, "architecture")
        self.supernet.load_state_dict(saved["supernet"])
        # A search keeps the arithmetic that it began with, as far as this machine has it.
        self.supernet.compiled = bool(saved.get("compiled")) and self.supernet.prepare_kernel()
        if not saved.get("inductor"):
            self.supernet.inductor = None
        for name, value in self.architecture.items():
            value.copy_(saved["architecture"][name])
        self.weight_optimizer.load_state_dict(saved["weight_optimizer"])
        self.architecture_optimizer.load_state_dict(saved["architecture_optimizer"])
        device = self.architecture["alpha"].device
        self.hypergradient = {n: t.to(device) for n, t in saved["hypergradient"].items()}
        self.step, self.epoch, self.running = saved["step"], saved["epoch"], saved["running"]
        self.history, self.memory, self.stopped = (
            saved["history"],
            saved["memory"],
            saved["stopped"],
        )
