"""The entropy of the mixture, its weight growing."""

import math

import torch

from tests.golden.harness import at

SOURCE = (
    "Tian et al. 2020, DA²S: the entropy loss of operations; the linear continuation (from memory)"
)
HALF = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
ENTROPY = (math.log(2) + 0.25 * math.log(4) + 0.75 * math.log(4 / 3)) / 2


def table(make):
    variant = make()
    loss = variant.architecture_loss({"alpha": HALF}, at(25, 50))
    yield "half-way, the default 0.2", loss.item(), 0.1 * ENTROPY
    yield "at the start", variant.architecture_loss({"alpha": HALF}, at(0, 50)), None


INERT = {"clamp_min(-80)": "the logarithm of what is no longer there, times zero"}
