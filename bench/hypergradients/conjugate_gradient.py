"""Implicit differentiation at the present weights, the inverse Hessian by conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.contracts.hypergradient import HVP, Estimate, Hypergradient, Problem, Tensors
from bench.hypergradients._autodiff import add, dot, finite, multiply, norm, validation, zeros
from bench.hypergradients._curvature import Curvature
from bench.hypergradients._inner import check_batches


class ConjugateGradient(Hypergradient):
    """∂_λL_val − ∂²_λw L_train·q with (H + damping·I)q = v solved by k conjugate gradient steps.

    v = ∂_w L_val and H = ∂²_w L_train + wd·I on one training batch, at the present weights. Exact
    after as many steps as H has distinct eigenvalues (at most P), and faster than `neumann` at
    equal cost where it applies. It asks for a positive definite H: at the first direction p with
    pᵀHp ≤ 0 the solve stops, keeps the q of the steps before (zero, if it is the first), and
    says so. Such a q minimises ½qᵀHq − vᵀq over the directions so far, but its residual may exceed
    one: look at the flags. ``damping`` above the most negative eigenvalue's size makes the solve
    applicable again, at the price of a bias toward q = v/damping; a supernet early in its search
    needs it.

    There is no K: k is a number of solver steps, not of summands.

    Cost: validation and training gradient (2 F), k Hessian products, one mixed product; four
    vectors of the weights' size and the held graph of one training gradient.

    Flags: ``indefinite`` at non-positive curvature, ``residual`` = ‖v − Hq‖/‖v‖ as the recursion
    carries it, ``iterations`` made, ``diverged`` when anything is not finite.
    """

    paper: ClassVar[str] = (
        "Pedregosa 2016, Hyperparameter optimization with approximate gradient, arXiv:1602.02355; "
        "Rajeswaran et al. 2019, Meta-Learning with Implicit Gradients, arXiv:1909.04630"
    )
    time: ClassVar[str] = "2 F + (k + 1) HVP"
    memory: ClassVar[str] = "4 P + 2x activations"

    k: Annotated[int, Field(ge=1)] = 10
    """The most steps to make."""
    tolerance: Annotated[float, Field(ge=0)] = 1e-12
    """Stop once the relative residual is below this."""
    damping: Annotated[float, Field(ge=0)] = 0.0
    """Added to the diagonal of H."""

    @property
    def horizon(self) -> int:
        """One training batch, for the curvature alone: the weights do not move."""
        return 1

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return 2 + (self.k + 1) * HVP

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at the present weights."""
        check_batches(self.horizon, train)
        v, direct = validation(problem, problem.weights, valid)
        curvature = Curvature(problem, problem.weights, train[0])
        q, flags = self._solve(curvature, v)
        implicit = multiply(curvature.mixed(q), -1.0)
        flags["diverged"] = float(not finite(direct, implicit))
        return Estimate(direct, implicit, flags)

    def _solve(self, curvature: Curvature, v: Tensors) -> tuple[Tensors, dict[str, float]]:
        """Solve (H + damping·I) q = v from q = 0."""
        q, residual, direction = zeros(v), v, v
        size = norm(v)
        squared, iterations, indefinite = dot(v, v), 0, False
        while iterations < self.k and math.sqrt(squared) > self.tolerance * size:
            product = add(curvature.hessian(direction), direction, self.damping)
            bend = dot(direction, product)
            if not bend > 0.0:
                indefinite = True
                break
            length = squared / bend
            q = add(q, direction, length)
            residual = add(residual, product, -length)
            previous, squared = squared, dot(residual, residual)
            direction = add(residual, direction, squared / previous)
            iterations += 1
        return q, {
            "indefinite": float(indefinite),
            "residual": math.sqrt(squared) / size if size else 0.0,
            "iterations": float(iterations),
        }
