"""One virtual step with the mixed derivative exact: second-order DARTS without its ε."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from bench.contracts.hypergradient import HVP, Estimate, Hypergradient, Problem
from bench.hypergradients._autodiff import finite, multiply, validation
from bench.hypergradients._curvature import Curvature
from bench.hypergradients._inner import check_batches, darts_step


class OneStepExact(Hypergradient):
    """∂_λL_val(w′) − η ∂²_λw L_train(w, λ)·v by automatic differentiation, v = ∂_w L_val(w′, λ).

    w′ = w − η(μm + ∂_w L_train + wd·w) is DARTS's own step, so the difference to
    `darts_second_order` is the finite difference and nothing else. The true step's clipping and
    Nesterov term are in ``reverse`` with T = 1, which equals this where neither is used. K has no
    meaning: the horizon is one step.

    Cost: training and validation gradient (2 F) and one backward pass through the first (about as
    much as an HVP); the activations of the training batch are held for it.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )
    time: ClassVar[str] = "2 F + HVP, ~4-5 F"
    memory: ClassVar[str] = "~2x activations + P"

    @property
    def horizon(self) -> int:
        """One training batch."""
        return 1

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return 2 + HVP

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at w′."""
        check_batches(self.horizon, train)
        curvature = Curvature(problem, problem.weights, train[0])
        ahead = darts_step(problem, curvature.gradient)
        v, direct = validation(problem, ahead, valid)
        implicit = multiply(curvature.mixed(v), -problem.inner.lr)
        return Estimate(direct, implicit, {"diverged": float(not finite(direct, implicit))})
