"""Second-order DARTS as published: one virtual step, the mixed term by finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.contracts.hypergradient import Estimate, Hypergradient, Problem
from bench.hypergradients._autodiff import (
    add,
    finite,
    gradients,
    leaves,
    multiply,
    norm,
    validation,
    zeros,
)
from bench.hypergradients._inner import check_batches, darts_step, step_gradient


class DartsSecondOrder(Hypergradient):
    """∂_λL_val(w′) − η[∂_λL_train(w⁺) − ∂_λL_train(w⁻)]/(2ε): DARTS's unrolled gradient.

    With v = ∂_w L_val(w′, λ):

    * w′ = w − η(μm + ∂_w L_train(w, λ) + wd·w), without the clipping and the Nesterov term of the
      true step, as in the authors' code;
    * w± = w ± εv around the present weights w, ε = ``epsilon``/‖v‖ over all weights together.

    The perturbed weights are new tensors, so nothing needs to be restored. Its error beside
    `one_step_exact`, its limit ε → 0, is O(ε²) on a smooth network. With ReLU it need not be small:
    every unit that switches between w⁻ and w⁺ adds a jump, divided by 2ε, so that the error grows
    as ε shrinks until none switches. K has no meaning: the horizon is one step.

    Cost: 4 F (training, validation, two perturbed); two copies of the weights.
    """

    paper: ClassVar[str] = (
        "Liu et al. 2019, DARTS: Differentiable Architecture Search, arXiv:1806.09055"
    )
    time: ClassVar[str] = "4 F"
    memory: ClassVar[str] = "2 P"

    epsilon: Annotated[float, Field(gt=0)] = 0.01
    """The length of the perturbation: ε = epsilon/‖v‖."""

    @property
    def horizon(self) -> int:
        """One training batch."""
        return 1

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return 4.0

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at w′."""
        check_batches(self.horizon, train)
        gradient = step_gradient(problem, leaves(problem.weights), train[0])
        ahead = darts_step(problem, gradient)
        v, direct = validation(problem, ahead, valid)
        size = norm(v)
        if size == 0.0:
            return Estimate(direct, zeros(direct), {"diverged": 0.0})
        eps = self.epsilon / size
        if eps == 0.0:  # v is beyond the range of numbers
            nowhere = multiply(zeros(direct), float("nan"))
            return Estimate(direct, nowhere, {"diverged": 1.0})
        plus = self._slope(problem, add(problem.weights, v, eps), train[0])
        minus = self._slope(problem, add(problem.weights, v, -eps), train[0])
        implicit = multiply(add(plus, minus, -1.0), -problem.inner.lr / (2 * eps))
        return Estimate(direct, implicit, {"diverged": float(not finite(direct, implicit))})

    @staticmethod
    def _slope(problem: Problem, weights: dict[str, Any], batch: Any) -> dict[str, Any]:
        """Return ∂_λ L_train at the perturbed weights."""
        fixed = {name: weight.detach() for name, weight in weights.items()}
        loss = problem.train_loss(fixed, problem.architecture, batch)
        return gradients(loss, problem.architecture)[0]
