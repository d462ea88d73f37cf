"""How the architecture gradient is estimated: the contract that every estimator fulfils.

The bilevel problem (Liu et al. 2019, DARTS, arXiv:1806.09055): minimise over the architecture
parameters λ the validation loss L_val(w*(λ), λ) with w*(λ) = argmin_w L_train(w, λ). The exact
gradient is ∂_λ L_val (direct) + (dw*/dλ)ᵀ ∂_w L_val (implicit); estimators differ in the implicit
part. An estimator sees only a `Problem`, so the same code runs on a supernet and on a quadratic.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from bench.contracts.member import Member

Tensors = dict[str, Tensor]
Loss = Callable[[Tensors, Tensors, Any], Tensor]
"""(weights, architecture, batch) → scalar loss; pure: changes no weights, buffers or RNG."""


@dataclass(frozen=True)
class InnerStep:
    """The true inner update map Φ: SGD with momentum, weight decay and gradient clipping.

    In the order in which the loop applies them (and ``torch.optim.SGD`` does): clip the global
    norm of g, add weight decay, m ← μm + g, then w ← w − η(g + μm) with Nesterov, w − ηm without.
    """

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class Problem:
    """One bilevel problem at one moment of a search.

    Attributes
    ----------
    weights, architecture
        Named leaf tensors that require grad; never written to.
    momentum
        The momentum buffer of every weight (absent names count as zero).
    train_loss, valid_loss
        Pure functions of (weights, architecture, batch).
    inner
        The inner update map.
    """

    weights: Tensors
    architecture: Tensors
    train_loss: Loss
    valid_loss: Loss
    inner: InnerStep
    momentum: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """An architecture gradient, its two parts kept apart.

    Attributes
    ----------
    direct
        ∂_λ L_val at the weights that the estimator evaluates it at; one tensor per parameter.
    implicit
        The estimate of (dw/dλ)ᵀ ∂_w L_val; empty where the estimator has none.
    flags
        Numbers worth knowing: ``diverged`` or ``indefinite`` (1.0 when seen), residuals.
    """

    direct: Tensors
    implicit: Tensors = field(default_factory=dict)
    flags: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> Tensors:
        """The gradient to descend: direct plus implicit."""
        return {
            name: value + self.implicit[name] if name in self.implicit else value
            for name, value in self.direct.items()
        }


HVP = 5.0
"""A Hessian-vector product in units of F, as measured (docs/hypergradients.md)."""


class Hypergradient(Member):
    """An estimator of the architecture gradient: a pure function of a `Problem` and batches."""

    time: ClassVar[str] = ""
    """Cost in time in units of F, one forward and backward pass."""
    memory: ClassVar[str] = ""
    """Cost in memory beyond first-order, in P (weights) and A (architecture parameters)."""

    @property
    def horizon(self) -> int:
        """How many training batches the estimator asks for (0: none)."""
        return 0

    def cost_in_passes(self, parameters: int) -> float:
        """Return the cost of one estimate in units of F, for ``parameters`` entries of λ.

        What `bench plan` reckons with; ``time`` is the formula.

        Parameters
        ----------
        parameters
            Numbers in λ: E·O for alpha alone.

        Returns
        -------
        float
            Multiples of one forward and backward pass of a batch.
        """
        return 1.0

    @property
    def trains(self) -> bool:
        """Whether the loop trains it along with the weights; see `Trained`."""
        return False

    @abstractmethod
    def estimate(self, problem: Problem, train: Sequence[Any], valid: Any) -> Estimate:
        """Estimate the gradient of the validation loss in the architecture parameters.

        Parameters
        ----------
        problem
            The problem at its present weights.
        train
            ``horizon`` training batches, in the order in which the weights will see them.
        valid
            One validation batch.

        Returns
        -------
        Estimate
            The direct and the implicit part, each by the names of ``problem.architecture`` and in their shapes.
        """


class Trained(Hypergradient):
    """An estimator that can also be trained along with the weights, as a part of the search.

    The loop keeps what it has learned (`SearchState.hypergradient`, checkpointed like all else);
    the methods are pure, so that a resumed search goes on bit-identically. `estimate` stays what
    it is for every estimator: from nothing, whatever ``in_loop`` says.
    """

    in_loop: bool = False
    """Train it in the search's own weight steps and keep it from one step to the next."""

    @property
    def trains(self) -> bool:
        """As ``in_loop`` says."""
        return self.in_loop

    @abstractmethod
    def initial_state(self, problem: Problem) -> Tensors:
        """Return what is known before the first step, as named tensors.

        Parameters
        ----------
        problem
            The problem before its first step.

        Returns
        -------
        Tensors
            Name → tensor, as the checkpoint keeps it.
        """

    @abstractmethod
    def train_step(
        self, problem: Problem, state: Tensors, batch: Any, step: int
    ) -> tuple[Tensors, Tensors]:
        """Return the gradient that the weights are to descend, and the new state.

        Weights that the training loss does not reach are absent from the gradient.

        Parameters
        ----------
        problem
            The problem at its present weights.
        state
            What was known after the step before.
        batch
            The training batch of this step.
        step
            Steps made until here, from 0; draws what is random.

        Returns
        -------
        tuple[Tensors, Tensors]
            The gradient of the weights by name, and the new state.
        """

    @abstractmethod
    def estimate_with(self, problem: Problem, state: Tensors, valid: Any) -> Estimate:
        """Estimate the architecture gradient from what has been learned.

        Parameters
        ----------
        problem
            The problem at its present weights.
        state
            What was learned until here.
        valid
            One validation batch.

        Returns
        -------
        Estimate
            The direct and the implicit part, each by the names of ``problem.architecture``.
        """

    @abstractmethod
    def absorb(self, weights: Tensors, state: Tensors, moved: Tensors) -> Tensors:
        """Return the weights to go on with once λ has moved by ``moved``.

        Parameters
        ----------
        weights
            Name → weight.
        state
            What was learned until here.
        moved
            Name → by how much a parameter of the architecture has moved.

        Returns
        -------
        Tensors
            Name → weight.
        """
