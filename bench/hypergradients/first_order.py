"""First-order DARTS: the validation loss's gradient at the present weights, no implicit part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from bench.contracts.hypergradient import Estimate, Hypergradient, Problem
from bench.hypergradients._autodiff import gradients


class FirstOrder(Hypergradient):
    """∂_λ L_val(w, λ): treats the weights as independent of the architecture.

    Costs one forward and backward pass. Its error is exactly the implicit part,
    (dw*/dλ)ᵀ ∂_w L_val.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )
    time: ClassVar[str] = "1 F"
    memory: ClassVar[str] = "none"

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``train`` is not used."""
        # Detached: what is compiled ahead would make the weights' gradients, asked for or not.
        weights = {name: weight.detach() for name, weight in problem.weights.items()}
        loss = problem.valid_loss(weights, problem.architecture, valid)
        (direct,) = gradients(loss, problem.architecture)
        return Estimate(direct=direct)
