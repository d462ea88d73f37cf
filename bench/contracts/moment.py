"""When a hook is asked, and the random streams of that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from bench.dropout import factors
from bench.streams import Key, generator, seed_of

Phase = Literal["weights", "architecture", "evaluate"]
Half = Literal["train", "valid", "union"]


@dataclass(frozen=True)
class Moment:
    """When a hook is asked: the same moment always draws the same random numbers.

    Attributes
    ----------
    step
        Bilevel steps done so far, from the start of the search.
    phase
        ``weights`` or ``architecture`` (the two updates), or ``evaluate`` (measuring only).
    memory
        What variants keep between epochs (`SearchState.memory`), to read from.
    part
        Which pass of a weight step that makes several; see `Variant.passes`.
    """

    seed: int
    epoch: int
    step: int
    epochs: int
    steps_per_epoch: int
    phase: Phase
    device: torch.device
    memory: Mapping[str, Any] = field(default_factory=dict, compare=False)
    part: int = 0

    @property
    def progress(self) -> float:
        """How much of the search is done, 0 to 1, counted in steps."""
        return self.step / max(1, self.epochs * self.steps_per_epoch)

    def generator(self, *key: Key) -> torch.Generator:
        """Return the random stream of this moment for ``key`` (begin it with your name).

        Parameters
        ----------
        *key
            Words and numbers; the same key at the same moment draws the same.

        Returns
        -------
        torch.Generator
            A generator on the moment's device.
        """
        parts = (self.part,) if self.part else ()
        return generator(self.device, self.seed, *key, self.step, self.phase, *parts)

    def dropout(self, y: Tensor, rate: float, *key: Key) -> Tensor:
        """Return factors of the size of ``y``: 0 with probability ``rate``, else 1/(1 − rate).

        Much faster than drawing from `generator`, and independent of how ``y`` lies in memory.

        Parameters
        ----------
        y
            What is to be multiplied, of any shape.
        rate
            Probability of a zero, from 0 to 1 (left out).
        *key
            Words and numbers that name the stream.

        Returns
        -------
        Tensor
            Factors in the shape, dtype and memory layout of ``y``.
        """
        parts = (self.part,) if self.part else ()
        seed = seed_of(self.seed, *key, self.step, self.phase, *parts)
        found = factors(y.shape, rate, seed, y.dtype, y.device)
        # Operands that lie alike are multiplied faster.
        return found.contiguous() if isinstance(y, Tensor) and y.is_contiguous() else found

    def normal(self, y: Tensor, mean: float, deviation: float, *key: Key) -> Tensor:
        """Return N(mean, deviation²) of the size of ``y`` [B, C, H, W], however it lies in memory.

        Parameters
        ----------
        y
            [B, C, H, W].
        mean, deviation
            Of the normal distribution.
        *key
            Words and numbers that name the stream.

        Returns
        -------
        Tensor
            [B, C, H, W].
        """
        draws, (batch, channels, *image) = self.generator(*key), y.shape
        drawn = torch.empty(batch, *image, channels, dtype=y.dtype, device=y.device)
        found = drawn.normal_(mean, deviation, generator=draws).permute(0, 3, 1, 2)
        return found.contiguous() if isinstance(y, Tensor) and y.is_contiguous() else found
