"""iDARTS: T inner steps ahead, then implicit differentiation by a stochastic Neumann series."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.contracts.hypergradient import HVP, Estimate, Hypergradient, Problem
from bench.hypergradients._autodiff import multiply, validation
from bench.hypergradients._curvature import Curvature
from bench.hypergradients._inner import check_batches, start, trajectory
from bench.hypergradients._neumann import neumann_series


class Idarts(Hypergradient):
    """∂_λL_val(w_T) − ∂²_λw L_train(w_T)·a Σ_{j<K} (I − aH(w_T))^j v(w_T) (Zhang et al. 2021).

    w_T comes from T steps of the true inner map Φ; v = ∂_w L_val(w_T), and H = ∂²_w L_train + wd·I
    and the mixed derivative on the last of the T batches only: "stochastic" means that one
    minibatch stands for the whole training set.

    **K** is the number of summands (the paper's Σ_{k≤K} has one more); **a** defaults to the
    inner learning rate, the paper's γ. At a minimum of that minibatch's loss, without momentum, it
    equals K-truncated `reverse` on that batch.

    The formula is the paper's. The authors' code is not followed: one version replaces H by an
    elementwise gradient of the gradient's norm; another (``architect_hess.py``) takes true
    Hessian-vector products, K = 3, and the mixed term by finite differences. Both restore the weights
    with another vector than they moved them by. In the paper the
    T steps are the search's own; here they look ahead and are forgotten, so that the estimator
    is a pure function and differs from `neumann` by the look-ahead alone.

    Cost: T steps and two gradients, K Hessian products, one mixed product; two more copies of the
    weights (three with momentum) and the held graph of one training gradient.

    Flags: those of `neumann`.
    """

    paper: ClassVar[str] = (
        "Zhang et al. 2021, iDARTS: Differentiable Architecture Search with Stochastic Implicit "
        "Gradients, arXiv:2106.10784"
    )
    time: ClassVar[str] = "(T + 2) F + (K + 1) HVP"
    memory: ClassVar[str] = "2 P + 2x activations"

    T: Annotated[int, Field(ge=1)] = 5
    """How many inner steps are looked ahead."""
    K: Annotated[int, Field(ge=1)] = 3
    """The number of summands."""
    a: Annotated[float, Field(gt=0)] | None = None
    """The step of the series; None: the inner learning rate."""

    @property
    def horizon(self) -> int:
        """T training batches, the last of them also for the curvature."""
        return self.T

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return self.T + 2 + (self.K + 1) * HVP

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at w_T."""
        check_batches(self.horizon, train)
        (last,) = deque(trajectory(problem, start(problem), train), maxlen=1)
        v, direct = validation(problem, last[0], valid)
        curvature = Curvature(problem, last[0], train[-1])
        q, flags = neumann_series(curvature, v, self.K, self.a or problem.inner.lr)
        return Estimate(direct, multiply(curvature.mixed(q), -1.0), flags)
