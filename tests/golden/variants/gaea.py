"""Exponentiated gradient at a constant 0.1, from equal weights, clamped at 1e-5."""

import math

import torch

from bench.contracts.variant import ArchitectureStep
from tests.golden.harness import NB201, at

SOURCE = (
    "gaea_release, cnn/architect/architect_edarts.py (ones, normalize with min_v 1e-5, p·exp(−lr·grad)) and "
    "configs/cnn/search_method/edarts/*.yaml (arch_learning_rate 0.1, arch_weight_decay 0, in all spaces)"
)
P = [0.5, 0.3, 0.2]
COST = [1.0, -2.0, 4.0]


def stepped(p, gradient, lr, smallest):
    """Return the code's update of p."""
    moved = [x * math.exp(-lr * g) for x, g in zip(p, gradient, strict=True)]
    clamped = [max(x / sum(moved), smallest) for x in moved]
    return [x / sum(clamped) for x in clamped]


def once(variant, p, cost, kept=None):
    """Step from p down Σ cost·p, whose gradient in α is taken through the softmax."""
    alpha = torch.tensor([p]).log().requires_grad_()
    mixture = alpha.softmax(-1)
    (gradient,) = torch.autograd.grad((mixture * torch.tensor([cost])).sum(), alpha)
    before = {"alpha": alpha.detach()}
    step = ArchitectureStep(before, {"alpha": alpha.detach() + 7}, {"alpha": gradient}, kept)
    return variant.step_architecture(step, at())["alpha"]


def table(make):
    for name in ("paper", None):
        variant = make(name) if name else make()
        found = once(variant, P, COST).softmax(-1)[0]
        yield f"{name}: p·exp(−0.1·g), normalised", found, stepped(P, COST, 0.1, 0)
        far = once(variant, P, [0.0, 0.0, 900.0]).softmax(-1)[0]
        yield f"{name}: clamped at 1e-5", far, stepped(P, [0.0, 0.0, 900.0], 0.1, 1e-5)
        start = variant.parameters(NB201, 0)["alpha"]
        yield f"{name}: equal at the start", start, [[0.0] * 5] * 6
    alpha = torch.tensor([[0.3, -0.2]])
    yield "the mixture is the softmax", make().relax({"alpha": alpha}, at()), alpha.softmax(-1)
    part = once(make(), P, COST, kept=[[0, 2]])
    yield "who does not compete stays", part[0, 1], math.log(P[1])
    yield "it takes the optimiser's place", make().replaces_step, True
