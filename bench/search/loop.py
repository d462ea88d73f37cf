"""The bilevel loop of differentiable architecture search, on one screen.

Minimise over the architecture λ the validation loss L_val(w*(λ), λ), with w*(λ) minimising the
training loss: each step updates the weights w on the training half and λ on the validation half.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch.nn import functional as F

from bench.contracts.moment import Moment
from bench.search import hypergradient as estimation
from bench.search.descent import step_architecture, step_weights
from bench.search.setup import Setup
from bench.search.state import SearchState


class DivergedError(ArithmeticError):
    """A loss or an architecture parameter is no longer finite."""


class Interrupted(Exception):
    """The search was asked to stop between two steps; the state is whole and can go on."""


def search(
    setup: Setup,
    state: SearchState,
    *,
    after_epoch: Callable[[SearchState], None] = lambda state: None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run the search from where ``state`` is to its end.

    Parameters
    ----------
    setup
        The fixed parts.
    state
        Where to begin; it is changed in place, and holds the outcome.
    after_epoch
        Called with the state after every epoch, when its record is in ``state.history``.
    asked_to_stop
        Polled between steps.

    Raises
    ------
    DivergedError
        When a loss is not finite; the history holds what was measured until then.
    Interrupted
        When asked to stop.
    """
    settings = setup.settings.search
    updates = [weight_step, architecture_step]
    if settings.order == "architecture_first":
        updates.reverse()
    while state.epoch < settings.epochs and state.stopped is None:
        while state.step < (state.epoch + 1) * setup.steps_per_epoch:
            for update in updates:
                with state.supernet.step(), overflow_is_divergence(state):
                    update(setup, state)
            state.step += 1
            if asked_to_stop():
                raise Interrupted
        state.epoch += 1
        record(setup, state)
        setup.composition.after_epoch(setup, state)
        if stop := setup.composition.stop(setup, state):
            state.stopped = {"reason": stop.reason, "epoch": stop.epoch or state.epoch}
        after_epoch(state)


@contextlib.contextmanager
def overflow_is_divergence(state: SearchState) -> Iterator[None]:
    """Say of a step whose rate or decay is beyond what weights can hold that it diverged."""
    try:
        yield
    except (OverflowError, RuntimeError) as error:
        if not isinstance(error, OverflowError) and "without overflow" not in str(error):
            raise
        raise DivergedError(
            f"a step beyond the range of numbers in epoch {state.epoch + 1}, step {state.step}"
        ) from error


def weight_step(setup: Setup, state: SearchState) -> None:
    """w ← w − η ∇_w L_train(w, λ): SGD on a batch of the training half."""
    moment, settings = setup.moment(state, "weights"), setup.settings.search.weights
    if not setup.composition.updates_weights(moment):
        return
    state.weight_optimizer.param_groups[0]["lr"] = weight_rate(setup, moment)
    state.weight_optimizer.zero_grad()
    for part in range(setup.composition.passes):
        backward(setup, state, replace(moment, part=part))
    held = setup.composition.hold_weights(setup, state, moment)
    for weight, rows in held:
        if weight.grad is not None:
            weight.grad[rows] = 0.0
    if settings.clip is not None:
        torch.nn.utils.clip_grad_norm_(state.supernet.named.values(), settings.clip)
    step_weights(state.weight_optimizer, state.supernet, settings.unused, held)


def weight_rate(setup: Setup, moment: Moment) -> float:
    """η = η_min + (η₀ − η_min)·(1 + cos πt)/2, t the share of the search that is done."""
    settings = setup.settings.search.weights
    cosine = 0.5 * (1 + math.cos(math.pi * setup.composition.annealed(moment)))
    return settings.lr_min + (settings.lr - settings.lr_min) * cosine


def backward(setup: Setup, state: SearchState, moment: Moment) -> None:
    """Add ∇_w L_train of one pass to the weights' gradients, its loss to the running sums."""
    batch, architecture = setup.batch("train", state.step), detached(state)

    def logits_of(mixture: torch.Tensor, pure: bool = True) -> torch.Tensor:
        return setup.logits(state, moment, batch, mixture, architecture=architecture, pure=pure)

    plain = setup.composition.mixture(architecture, moment)
    mixture = setup.composition.perturb(
        plain,
        lambda mixture: F.cross_entropy(logits_of(mixture), batch.labels),
        moment,
    )
    logits = logits_of(mixture.detach(), pure=False)
    loss = F.cross_entropy(logits, batch.labels)
    if not math.isfinite(value := loss.item()):
        raise DivergedError(
            f"training loss is {value} in epoch {state.epoch + 1}, step {state.step}"
        )
    if setup.hypergradient.trains:
        estimation.train_along(setup, state, moment, batch, mixture.detach() - plain)
    else:
        torch.autograd.backward(loss)
    state.running["loss"] += value * len(batch.labels)
    state.running["right"] += (logits.argmax(-1) == batch.labels).sum().item()
    state.running["seen"] += len(batch.labels)


def architecture_step(setup: Setup, state: SearchState) -> None:
    """λ ← Adam(λ, estimated ∇_λ L_val(w*(λ), λ)) on a batch of the validation half."""
    moment, optimizer = setup.moment(state, "architecture"), state.architecture_optimizer
    if not setup.composition.updates_architecture(moment):
        return
    for name, gradient in estimation.estimate(setup, state).total.items():
        state.architecture[name].grad = gradient
    with estimation.carrying_weights(setup, state):
        step_architecture(optimizer, state.architecture, setup.composition, moment)
    if not all(torch.isfinite(value).all() for value in state.architecture.values()):
        raise DivergedError(f"alpha is not finite in epoch {state.epoch + 1}, step {state.step}")


def detached(state: SearchState) -> dict[str, torch.Tensor]:
    """Return the architecture parameters cut off from autograd, for the weight step."""
    return {name: value.detach() for name, value in state.architecture.items()}


def record(setup: Setup, state: SearchState) -> None:
    """Append the finished epoch's numbers and the instruments' readings to the history."""
    seen = max(1.0, state.running["seen"])
    entry: dict[str, object] = {
        "epoch": state.epoch,
        "train_loss": state.running["loss"] / seen if state.running["seen"] else float("nan"),
        "train_accuracy": 100 * state.running["right"] / seen,
        # All of the architecture, to go back to where an early stop says that an earlier epoch counts.
        **{name: value.tolist() for name, value in state.architecture.items()},
    }
    state.running.update(dict.fromkeys(state.running, 0.0))
    for instrument in setup.settings.instruments:
        if state.epoch % instrument.every == 0 or state.epoch == setup.settings.search.epochs:
            entry.update(instrument.observe(setup, state))
    state.history.append(entry)
