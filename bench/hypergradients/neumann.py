"""Implicit differentiation at the present weights, the inverse Hessian by a Neumann series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.contracts.hypergradient import HVP, Estimate, Hypergradient, Problem
from bench.hypergradients._autodiff import multiply, validation
from bench.hypergradients._curvature import Curvature
from bench.hypergradients._inner import check_batches
from bench.hypergradients._neumann import neumann_series


class Neumann(Hypergradient):
    """∂_λL_val − ∂²_λw L_train · a Σ_{j<K} (I − aH)^j v at the present weights (Lorraine 2020).

    v = ∂_w L_val and H = ∂²_w L_train + wd·I on one training batch. The limit K → ∞ is the implicit
    function theorem's gradient, right where the weights are at a minimum of the regularised
    training loss, reached only if a < 2/λ_max and H is positive definite; the error of the solve
    falls by at most 1 − aλ_min per summand.

    **K** is the number of summands: K = 1 is a·v, the "T1–T2" method of Luketina et al. 2016.
    (Lorraine et al. write Σ_{j≤i}, that is K = i + 1 here.) **a** defaults to the inner learning
    rate, for which K summands equal K-truncated `reverse` without momentum at the minimum.

    Cost: validation and training gradient (2 F), K Hessian products, one mixed product; about two
    more copies of the weights and the held graph of one training gradient.

    Flags: ``residual`` = ‖v − Hq‖/‖v‖ of the linear solve, ``diverged`` and ``indefinite`` as
    `_neumann.neumann_series` explains.
    """

    paper: ClassVar[str] = (
        "Lorraine et al. 2020, Optimizing Millions of Hyperparameters by Implicit "
        "Differentiation, arXiv:1911.02590"
    )
    time: ClassVar[str] = "2 F + (K + 1) HVP"
    memory: ClassVar[str] = "2 P + 2x activations"

    K: Annotated[int, Field(ge=1)] = 10
    """The number of summands."""
    a: Annotated[float, Field(gt=0)] | None = None
    """The step of the series; None: the inner learning rate."""

    @property
    def horizon(self) -> int:
        """One training batch, for the curvature alone: the weights do not move."""
        return 1

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return 2 + (self.K + 1) * HVP

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at the present weights."""
        check_batches(self.horizon, train)
        v, direct = validation(problem, problem.weights, valid)
        curvature = Curvature(problem, problem.weights, train[0])
        q, flags = neumann_series(curvature, v, self.K, self.a or problem.inner.lr)
        return Estimate(direct, multiply(curvature.mixed(q), -1.0), flags)
