"""Reverse mode through T inner steps: the exact unrolled gradient, or its last K terms."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from bench.contracts.hypergradient import HVP, Estimate, Hypergradient, Problem, Tensors
from bench.hypergradients._autodiff import add, finite, leaves, norm, validation, vjp, zeros
from bench.hypergradients._inner import (
    State,
    check_batches,
    start,
    step_gradient,
    trajectory,
    update,
)


class Reverse(Hypergradient):
    """dL_val(w_T(λ), λ)/dλ with w_T from T steps of the true map Φ, differentiated backwards.

    With s = (w, m), s_{t+1} = Φ_t(s_t, λ) and the adjoint a_T = (∂_w L_val(w_T), 0):
    implicit = Σ_t (∂_λΦ_t)ᵀ a_{t+1}, a_t = (∂_sΦ_t)ᵀ a_{t+1}, over t = T−1, …, T−K. It is exact
    through momentum, Nesterov, weight decay and clipping; the weights look T batches ahead, and
    λ stands still meanwhile.

    **K** is the number of terms kept, counted from the end (Shaban et al. 2019): K = T (the
    default, None) is exact, K < T takes (w, m) after T − K steps as constants. On a quadratic at
    its minimum the truncated sum equals `neumann` with K summands and a = η.

    Cost: T steps forward (F each), then for each kept step its gradient again with a graph (F) and
    a backward pass through that (an HVP); with ``segment`` > 1 one more F per kept step. Of memory,
    only one step's graph is alive at a time. What grows is the states kept for
    recomputation, ceil(K/segment) + segment − 1 of them (K for the default segment of 1), P
    each, or 2 P with momentum; ``segment`` ≈ √K is the cheapest.

    Flags: ``diverged`` when anything is not finite; ``adjoint_growth`` = ‖a_{T−K}‖/‖a_T‖, above
    one when sensitivity grows into the past (as it must for η > 2/λ_max without momentum).
    """

    paper: ClassVar[str] = (
        "Franceschi et al. 2017, Forward and Reverse Gradient-Based Hyperparameter Optimization, "
        "arXiv:1703.01785; Shaban et al. 2019, Truncated Back-propagation for Bilevel "
        "Optimization, arXiv:1810.10667"
    )
    time: ClassVar[str] = "T F + K (F + HVP)"
    memory: ClassVar[str] = "K P (2 K P with momentum); segment s: (K/s + s) P"

    T: Annotated[int, Field(ge=1)] = 10
    """How many inner steps are looked ahead."""
    K: Annotated[int, Field(ge=1)] | None = None
    """How many terms are kept, from the last step back; None: all T."""
    segment: Annotated[int, Field(ge=1)] = 1
    """A state is stored every so many steps; what lies between is computed again."""

    @model_validator(mode="after")
    def _within(self) -> Reverse:
        if self.K is not None and self.K > self.T:
            raise ValueError(f"K = {self.K} terms of only T = {self.T} steps")
        return self

    @property
    def horizon(self) -> int:
        """T training batches."""
        return self.T

    def cost_in_passes(self, parameters: int) -> float:
        """See `Hypergradient.cost_in_passes`."""
        kept = self.T if self.K is None else self.K
        return self.T + kept + 1 + kept * HVP

    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """See `Hypergradient.estimate`; ``direct`` is taken at w_T."""
        check_batches(self.horizon, train)
        first = self.T - (self.T if self.K is None else self.K)
        stored: dict[int, State] = {}
        last = begin = start(problem)
        for t, last in enumerate(trajectory(problem, begin, train)):
            if first <= t < self.T and (t - first) % self.segment == 0:
                stored[t] = last

        v, direct = validation(problem, last[0], valid)
        adjoint, implicit = (v, zeros(begin[1])), zeros(direct)
        while stored:
            t, state = stored.popitem()  # the latest: dictionaries keep their order
            batches = train[t : t + self.segment]
            states = list(itertools.islice(trajectory(problem, state, batches[:-1]), len(batches)))
            for batch in reversed(batches):
                adjoint, term = self._back(problem, states.pop(), batch, adjoint)
                implicit = add(implicit, term)

        size = norm(v)
        growth = norm(adjoint[0]) / size if size else 0.0
        healthy = finite(direct, implicit)
        return Estimate(
            direct, implicit, {"diverged": float(not healthy), "adjoint_growth": growth}
        )

    @staticmethod
    def _back(problem: Problem, state: State, batch: Any, adjoint: State) -> tuple[State, Tensors]:
        """Return (∂_sΦ)ᵀ a and (∂_λΦ)ᵀ a of one step, by differentiating Φ itself."""
        weights, momentum = leaves(state[0]), leaves(state[1])
        gradient = step_gradient(problem, weights, batch, create_graph=True)
        after = update(problem.inner, weights, momentum, gradient)
        outputs = [part[name] for part in after for name in part]
        cotangents = [part[name] for part in adjoint for name in part]
        back = vjp(outputs, cotangents, weights, momentum, problem.architecture)
        return (back[0], back[1]), back[2]
