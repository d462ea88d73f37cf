"""Training one discretised network from scratch: what an architecture is truly worth."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.data import Images
from bench.data._batches import plain_batches, steps_per_epoch, training_batch

EVALUATED = 512
"""Images per batch when a network is measured."""


class Training(BaseModel):
    """How a network is trained: SGD with a cosine per step; NAS-Bench-201's recipe by default.

    The defaults are those of Dong and Yang 2020 (arXiv:2001.00326), appendix, without the warm-up
    that they do not have either: 200 epochs, batch 256, rate 0.1 to 0, no clipping.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(200, ge=1)
    batch: int = Field(256, ge=2)
    lr: float = Field(0.1, gt=0)
    lr_min: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(5e-4, ge=0)
    clip: float | None = Field(None, gt=0, description="global gradient norm; null: no clipping")


@dataclass(frozen=True)
class Measured:
    """What a network achieves on a set of images: accuracy in percent, mean cross-entropy."""

    accuracy: float
    loss: float


def train(network: nn.Module, images: Images, training: Training, seed: int) -> float:
    """Train a network in place and return the seconds that it took.

    Order and augmentation of the images are functions of the seed alone (`bench.streams`); a
    network whose output never sees its input trains its last bias, as in the benchmark.

    Parameters
    ----------
    network
        ``forward(images [B, C, H, W]) → logits [B, classes]``, on the device of the images.
    """
    began = time.perf_counter()
    optimizer = torch.optim.SGD(
        network.parameters(), training.lr, training.momentum,
        weight_decay=training.weight_decay, nesterov=training.nesterov,
    )  # fmt: skip
    batch = min(training.batch, len(images))
    steps = training.epochs * steps_per_epoch(images, batch)
    network.train()
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        rate = training.lr_min + (training.lr - training.lr_min) * cosine
        optimizer.param_groups[0]["lr"] = rate
        seen = training_batch(images, batch, step, seed, "standalone")
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(network(seen.images), seen.labels))
        if training.clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        optimizer.step()
    return time.perf_counter() - began


@torch.no_grad()
def measure(network: nn.Module, images: Images) -> Measured:
    """Measure a trained network with its running statistics where it keeps them."""
    network.eval()
    loss = torch.zeros((), dtype=torch.float64)
    right = torch.zeros((), dtype=torch.int64)
    for batch in plain_batches(images, EVALUATED):
        logits: Tensor = network(batch.images)
        loss += F.cross_entropy(logits, batch.labels, reduction="sum").cpu().double()
        right += (logits.argmax(-1) == batch.labels).sum().cpu()
    return Measured(100 * float(right) / len(images), float(loss) / len(images))


def cost(network: nn.Module, images: Images) -> tuple[float, float]:
    """Return (parameters, FLOPs of one image's forward pass), both in millions.

    FLOPs count a multiplication and an addition as one, as the benchmark does, over convolutions,
    pooling (9 per output on the CPU) and matrix products; sums and batch norm are left out.
    """
    from torch.utils.flop_counter import FlopCounterMode

    one = plain_batches(images.take(torch.zeros(1, dtype=torch.long)), 1)[0].images
    with torch.no_grad():
        network.eval()(one)  # what is computed once and kept is not part of a pass
        with FlopCounterMode(display=False) as counter:
            network(one)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return weights / 1e6, counter.get_total_flops() / 2 / 1e6
