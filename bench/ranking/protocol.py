"""The ranking protocol: everything that moves Kendall's tau, named and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from bench.spaces import Architecture, Space
from bench.streams import generator


class Population(BaseModel):
    """Which architectures are ranked.

    Which cell stands for its class matters: isomorphic cells hold other weights of the supernet.
    It is the first of the space's enumeration, always.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["unique", "all"] = Field(
        "unique", description="the first cell of each isomorphism class, or every cell"
    )
    size: int | None = Field(300, ge=2, description="draw so many at random; null: take them all")
    seed: int = Field(0, description="of the draw; the same for all runs")
    disconnected: bool = Field(True, description="keep cells whose output never sees the input")

    def draw(self, space: Space) -> list[Architecture]:
        """Return the architectures, in the order of the space."""
        cells: Sequence[Architecture] = (
            space.unique() if self.kind == "unique" else list(space.architectures())
        )
        if not self.disconnected:
            cells = [cell for cell in cells if space.connected(cell)]
        if self.size is None or self.size >= len(cells):
            return list(cells)
        order = torch.randperm(len(cells), generator=generator("cpu", self.seed, "population"))
        return [cells[i] for i in order[: self.size].sort().values.tolist()]


class Protocol(BaseModel):
    """How sub-networks are scored and compared with ground truth.

    Sub-networks are single paths with inherited weights; their batch norms use the statistics of
    the evaluation batch, so that the batch size is part of the protocol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    population: Population = Population()
    images: int | None = Field(None, ge=1, description="validation images; null: the whole half")
    batch: int = Field(500, ge=2, description="images per batch, over which batch norm averages")
    batch_norm: Literal["batch"] = "batch"
    paths: Literal["one_hot"] = "one_hot"
    resamples: int = Field(500, ge=0, description="bootstrap resamples of the interval")

    def digest(self, **context: Any) -> str:
        """Hash the protocol with what else fixes τ (truth, its hash, the data); 12 hex digits."""
        content = {"protocol": self.model_dump(mode="json"), **context}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
