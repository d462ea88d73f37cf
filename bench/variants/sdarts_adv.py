"""SDARTS-ADV: the weights are trained on the worst mixture nearby."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.moment import Moment
from bench.variants._perturbation import PAPER, Perturbation, project


class SdartsAdv(Perturbation):
    """Sign-gradient ascent (PGD) on the training loss within ‖δ‖∞ ≤ ε around softmax(α).

    From a random start, ``steps`` times: p ← p + (2ε/steps)·sign ∂L_train/∂p, back into the ball,
    projected as `sdarts_rs` is. ε grows linearly, ε = 0.03 + 0.27·e/E in the official code.

    Paper and code: the paper writes an exact inner maximum; the code takes 7 steps, starts at
    random and keeps the unperturbed mixture where its loss is higher than what the attack found.
    All three are done here. The code attacks the network in evaluation mode (running statistics);
    here batch statistics are used throughout. The code's attack takes the softmax once more of
    what is a softmax already (its loss is called without ``updateType='weight'``, which its version
    for recurrent networks passes), so that it climbs another loss than the weights are trained on;
    here it climbs that of the mixture.
    """

    paper: ClassVar[str] = PAPER

    steps: int = Field(7, ge=1, description="sign-gradient steps; each costs one more F")

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Return the attacked weights [E, O]."""
        epsilon = self.epsilon(moment)
        if epsilon == 0:
            return weights
        attacked = self.noise(weights, epsilon, moment).detach()
        for _ in range(self.steps):
            leaf = attacked.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(leaf), leaf)
            ahead = leaf.detach() + 2 * epsilon / self.steps * gradient.sign()
            attacked = project(weights + (ahead - weights).clamp(-epsilon, epsilon), weights)
        with torch.no_grad():
            return weights if loss(weights) > loss(attacked) else attacked
