"""The settings of a run, as members may read them."""

from __future__ import annotations

from typing import Any, Protocol

from bench.contracts.data import DataSource
from bench.contracts.space import Space


class WeightSettings(Protocol):
    """How the weights are trained: SGD, whose rate follows a cosine per step."""

    @property
    def lr(self) -> float:
        """The rate of the first step."""

    @property
    def lr_min(self) -> float:
        """The rate after the last step."""

    @property
    def weight_decay(self) -> float:
        """SGD's weight decay."""

    @property
    def clip(self) -> float | None:
        """The largest global norm of a gradient; None: no clipping."""


class ArchitectureSettings(Protocol):
    """How the architecture parameters are trained: Adam."""

    @property
    def lr(self) -> float:
        """Adam's rate."""

    @property
    def weight_decay(self) -> float:
        """Adam's weight decay."""


class LoopSettings(Protocol):
    """How long a search is and how it steps."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole search."""

    @property
    def batch(self) -> int:
        """Images of a step, in each half."""

    @property
    def order(self) -> str:
        """``weights_first`` or ``architecture_first``."""

    @property
    def precision(self) -> str:
        """``float32`` or ``bfloat16``."""

    @property
    def weights(self) -> WeightSettings:
        """The weights' optimiser."""

    @property
    def architecture(self) -> ArchitectureSettings:
        """The architecture's optimiser."""


class RunSettings(Protocol):
    """The settings of one run, as members may read them."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def data(self) -> DataSource:
        """Where the images come from."""

    @property
    def search(self) -> LoopSettings:
        """The bilevel loop."""

    @property
    def ranking(self) -> Any:
        """The protocol of the ranking at the end (`bench.ranking.protocol.Protocol`), or None."""

    @property
    def kernel(self) -> str:
        """What does the arithmetic: ``auto``, ``torch`` or ``inductor``."""

    @property
    def device(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""

    @property
    def threads(self) -> int:
        """CPU threads of one run."""
