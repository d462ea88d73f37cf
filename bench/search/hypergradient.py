"""Between the loop and a hypergradient: the batches that it sees, and estimators trained along."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.contracts.hypergradient import Estimate, Tensors, Trained

if TYPE_CHECKING:
    from bench.contracts.data import Batch
    from bench.contracts.moment import Moment
    from bench.contracts.search import SearchView, StateView


def estimate(setup: SearchView, state: StateView) -> Estimate:
    """Estimate the architecture gradient on this step's validation batch.

    Parameters
    ----------
    setup, state
        The search; ``state.step`` says which batches are seen: the validation half's of this step, and of the
        training half the ``horizon`` batches that the weights will see next. Those begin with this step's, or
        with the next step's where the weights have just been updated (``order: weights_first``).

    Returns
    -------
    Estimate
        The gradient of every architecture parameter, variants' losses included.
    """
    valid, problem = setup.batch("valid", state.step), setup.problem(state)
    if trained := _trained(setup):
        return trained.estimate_with(problem, state.hypergradient, valid)
    # The batches that the weights will see next: in the weights-first order this one is behind.
    first = state.step + (setup.settings.search.order == "weights_first")
    train = [setup.batch("train", first + i) for i in range(setup.hypergradient.horizon)]
    return setup.hypergradient.estimate(problem, train, valid)


def initial(setup: SearchView, state: StateView) -> Tensors:
    """Return what an estimator that is trained along knows at the start; nothing for all others."""
    trained = _trained(setup)
    return {} if trained is None else trained.initial_state(setup.problem(state))


def train_along(
    setup: SearchView, state: StateView, moment: Moment, batch: Batch, perturbation: Tensor
) -> None:
    """Let the estimator learn from the batch, and take the weights' gradients from it.

    Parameters
    ----------
    perturbation
        What variants added to the mixture weights of this weight step [E, O].
    """
    trained = _trained(setup)
    if trained is None or moment.part > 0:
        return  # the problem's training loss is that of all passes together
    problem = setup.problem(state, perturbation)
    gradient, state.hypergradient = trained.train_step(
        problem, state.hypergradient, batch, state.step
    )
    for name, weight in state.supernet.named.items():
        weight.grad = gradient.get(name)  # None where no loss reaches it: SGD leaves it alone


@contextlib.contextmanager
def carrying_weights(setup: SearchView, state: StateView) -> Iterator[None]:
    """Move the weights along their learned response to how the block moves the architecture."""
    trained = _trained(setup)
    before = {n: a.detach().clone() for n, a in state.architecture.items()} if trained else {}
    yield
    if trained is None:
        return
    with torch.no_grad():
        moved = {name: a - before[name] for name, a in state.architecture.items()}
        weights: Tensors = dict(state.supernet.named)
        for name, value in trained.absorb(weights, state.hypergradient, moved).items():
            weights[name].copy_(value)


def _trained(setup: SearchView) -> Trained | None:
    """Return the estimator if the loop trains it."""
    found = setup.hypergradient
    return found if isinstance(found, Trained) and found.trains else None
