"""Self-Tuning Networks: a structured best response fitted on perturbed architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.hypergradient import Estimate, Problem, Tensors, Trained
from bench.hypergradients import _response as response
from bench.hypergradients._autodiff import add, finite, leaves, validation
from bench.hypergradients._inner import check_batches, step_gradient


class Stn(Trained):
    """∂_λL_val + (dŵ/dλ)ᵀ v with the fitted response ŵ(λ + δ) = w + (Rδ) ⊙_row U, v = ∂_w L_val.

    (R, U) minimise E_δ L_train(ŵ(λ + δ), λ + δ) + wd/2·‖ŵ‖² over perturbations δ of length
    ``scale``·√A. Where R is unrestricted (weights of one dimension) and L_train quadratic, the
    minimum is the exact −H⁻¹∂²_wλ L_train, and n descents along every direction give `neumann`'s
    value with K = n summands and a = ``lr``; filter banks and matrices may only scale their rows.

    What is done: each descent takes a pair ±δ on one batch and half the difference of the two
    weight gradients, d = H·(Rδ)⊙U + ∂²_wλL·δ + O(scale³), which cancels what does not depend on δ.
    R moves by −lr/(scale²·A) ∂(d·ŵ)/∂R, U likewise: the step is normalised (NLMS), so lr < 2/λ_max
    is stable whatever A and scale are (for U = 1). Directions are orthogonal within a sweep of A.

    Two ways to use it:

    * **Pure** (`estimate`): R starts at 0, U as ``base`` says, and they are fitted for T batches at
      fixed weights, ``pairs`` descents each. Directions that T·pairs < A leaves unseen have
      response zero.
    * **In the loop** (``in_loop``): the response lives as long as the search and is trained with
      the weights; `train_step` also returns the gradient of the perturbed loss in w, which the
      loop feeds to its weight optimiser in place of the plain one; `absorb` moves the weights
      along when λ has moved. That is MacKay et al.'s training; with ``pairs`` = 1 it makes a step
      at 2 F for the weights and 1 F for λ.

    Differences to MacKay et al. 2019, in both modes: the response is centred at the present λ
    (theirs is at λ = 0, which `absorb` makes up for); perturbations are antithetic, of fixed length
    and the same for the whole batch (theirs Gaussian, one per example); ``scale`` is fixed (theirs
    is learned with an entropy bonus); (R, U) descend with plain SGD. In pure mode, w itself is not
    trained on perturbed λ.

    **U starts at random**, as theirs. From U = w the response would stay almost zero on a supernet:
    a filter before a batch norm without affine parameters can be scaled without effect, so that the
    training gradient is orthogonal to w and the slope for R, their inner product, is nothing. A
    random U catches about one over a row's length of the one-step response until it is trained.

    Cost: 2·T·pairs + 1 F pure; U is P, R is A numbers for every row. K has no meaning: T·pairs/A
    counts what K counts in `neumann`.

    Flags: ``coverage`` = min(1, T·pairs/A) in pure mode, ``diverged`` when anything is not finite.
    """

    paper: ClassVar[str] = (
        "MacKay et al. 2019, Self-Tuning Networks: Bilevel Optimization of Hyperparameters using "
        "Structured Best-Response Functions, arXiv:1903.03088"
    )
    time: ClassVar[str] = "(2 T pairs + 1) F; in the loop 1 F, and 2 pairs F per weight step"
    memory: ClassVar[str] = "2 P + A numbers per row of a weight"

    T: Annotated[int, Field(ge=1)] = 5
    """How many training batches the response is fitted on, in pure mode."""
    pairs: Annotated[int, Field(ge=1)] = 6
    """Antithetic pairs of perturbations per batch: 5 × 6 covers the 30 parameters of NB201."""
    scale: Annotated[float, Field(gt=0)] = 0.1
    """Root mean square of a perturbation, in units of λ."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """The response's learning rate; None: the inner learning rate."""
    base: Literal["random", "weights"] = "random"
    """Where U starts; its rows are as long as those of the weights in either case."""
    seed: int = 0
    """Of the perturbations and of U; the global generator is not touched."""

    @property
    def horizon(self) -> int:
        """T training batches, for fitting the response alone: the weights do not move."""
        return self.T

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        return 3.0 if self.in_loop else 1 + 2.0 * self.T * self.pairs

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at the present weights."""
        check_batches(self.horizon, train)
        state = self.initial_state(problem)
        for step, batch in enumerate(train):
            state = self.train_step(problem, state, batch, step)[1]
        estimate = self.estimate_with(problem, state, valid)
        seen = self.T * self.pairs / _columns(problem)
        return Estimate(
            estimate.direct, estimate.implicit, {**estimate.flags, "coverage": min(1.0, seen)}
        )

    def initial_state(self, problem: Problem) -> Tensors:
        """Return the response of an untrained network: zero, as named tensors to checkpoint."""
        seed = self.seed if self.base == "random" else None
        return response.initial(problem.weights, _columns(problem), seed)

    def train_step(
        self, problem: Problem, state: Tensors, batch: Any, step: int
    ) -> tuple[Tensors, Tensors]:
        """Fit the response to one batch; a pure function of its arguments.

        Parameters
        ----------
        problem
            The problem at its present weights and λ.
        state
            The response so far; not written to.
        batch
            One training batch.
        step
            Counts the calls: it alone, with ``seed``, decides the perturbations.

        Returns
        -------
        gradient
            ∂_w of the training loss averaged over the perturbations, without weight decay, for the
            weights that have one: what the loop's weight step should use.
        state
            The new response.
        """
        columns = _columns(problem)
        rate = (self.lr or problem.inner.lr) / (self.scale**2 * columns)
        mean: Tensors = {}
        for pair in range(self.pairs):
            z = response.direction(self.seed, step * self.pairs + pair, columns)
            delta = z.to(response.flatten(problem.architecture)) * self.scale
            moved = response.displacement(state, problem.weights, delta)
            plus = self._gradient(problem, moved, delta, 1.0, batch)
            minus = self._gradient(problem, moved, delta, -1.0, batch)
            for one, other in ((plus, minus), (minus, plus)):  # λ ± δ may run different paths
                one.update({n: torch.zeros_like(g) for n, g in other.items() if n not in one})
            # The decay's own gradient at ±δ is wd·(w ± moved): half the difference is wd·moved.
            decay = problem.inner.weight_decay
            odd = {n: (plus[n] - minus[n]) / 2 + decay * moved[n] for n in plus}
            state = response.fit(state, odd, delta, rate)
            for name in plus:
                even = (plus[name] + minus[name]) / (2 * self.pairs)
                mean[name] = mean[name] + even if name in mean else even
        return mean, state

    def estimate_with(self, problem: Problem, state: Tensors, valid: Any) -> Estimate:
        """Estimate with a given response: one forward and backward pass.

        Parameters
        ----------
        problem
            The problem at its present weights and λ.
        state
            The response, from `train_step`.
        valid
            One validation batch.
        """
        v, direct = validation(problem, problem.weights, valid)
        implicit = response.unflatten(response.pullback(state, v), direct)
        return Estimate(direct, implicit, {"diverged": float(not finite(direct, implicit))})

    def absorb(self, weights: Tensors, state: Tensors, moved: Tensors) -> Tensors:
        """Return ŵ after λ has moved by ``moved``: the weights to go on with from there."""
        return add(weights, response.displacement(state, weights, response.flatten(moved)))

    @staticmethod
    def _gradient(
        problem: Problem, moved: Tensors, delta: Tensor, sign: float, batch: Any
    ) -> Tensors:
        """Return ∂_w L_train at (ŵ(λ ± δ), λ ± δ)."""
        shift = response.unflatten(sign * delta, problem.architecture)
        there = Problem(
            weights=problem.weights,
            architecture={n: a.detach() for n, a in add(problem.architecture, shift).items()},
            train_loss=problem.train_loss,
            valid_loss=problem.valid_loss,
            inner=problem.inner,
        )
        return step_gradient(there, leaves(add(problem.weights, moved, sign)), batch)


def _columns(problem: Problem) -> int:
    return sum(alpha.numel() for alpha in problem.architecture.values())
