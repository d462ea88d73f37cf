"""SDARTS-RS: the weights are trained on randomly perturbed mixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from bench.contracts.moment import Moment
from bench.variants._perturbation import PAPER, Perturbation


class SdartsRs(Perturbation):
    """Random smoothing: softmax(α) + U(−ε, ε) in the weight step, so that w suits nearby α.

    The perturbed weights are clamped to [0, 1] and renormalised, and a row of nothing but zeros
    becomes one-hot at its largest entry; the architecture step sees softmax(α) itself. ε grows
    linearly, ε = 0.03 + 0.27·e/E in the official code.

    Paper and code: the paper perturbs α̂ within the ball without saying how the simplex is kept;
    the code's ``clip`` is what is done here. Other variants' factors on whole edges keep their
    total, in place of the 1.
    """

    paper: ClassVar[str] = PAPER

    def perturb(self, weights: Tensor, loss: Callable[[Tensor], Tensor], moment: Moment) -> Tensor:
        """Return weights [E, O] with uniform noise."""
        epsilon = self.epsilon(moment)
        return weights if epsilon == 0 else self.noise(weights, epsilon, moment)
