"""A checkpoint taken over into the search that was built for it, or refused."""

from __future__ import annotations

import math
from typing import Any

import torch

from bench.runs import fit
from bench.runs.checkpoint import out_of_memory
from bench.runs.fit import MisfitError
from bench.search.loop import weight_rate
from bench.search.setup import Setup, initial_state
from bench.search.state import SearchState

PARTS = {
    "supernet", "compiled", "inductor", "architecture", "weight_optimizer",
    "architecture_optimizer", "step", "epoch", "running", "history", "memory", "hypergradient",
    "stopped",
}  # fmt: skip


def restore(setup: Setup, state: SearchState, saved: dict[str, Any]) -> None:
    """Take over what `SearchState.to_dict` gave, into an initial state.

    Raises
    ------
    MisfitError
        Where anything does not fit what was built; the state may be filled in part by then.
    """
    if missing := sorted(PARTS - set(saved)):
        raise MisfitError(f"{missing[0]} is missing")
    _position(setup, saved)
    epochs = setup.settings.search.epochs
    if setup.composition.grown(saved["epoch"], epochs) != setup.space:
        state.adopt(initial_state(setup, saved["epoch"]))
    try:
        _history(setup, state, saved)
        _parts(setup, state, saved)
        state.load_dict(saved)
    except MisfitError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        if out_of_memory(e):
            raise  # says nothing about the checkpoint
        raise MisfitError(f"{type(e).__name__}: {' '.join(str(e).split())[:120]}") from None
    # With the memory in place, variants can be asked whether the last step updated the weights.
    rate = fit.real(
        state.weight_optimizer.param_groups[0]["lr"], 0, math.inf, "weight_optimizer.lr"
    )
    if not math.isclose(rate, expected := _rate(setup, state), rel_tol=1e-9):
        raise MisfitError(f"weight_optimizer.lr: {rate!r}, not {expected!r}")


def _position(setup: Setup, saved: dict[str, Any]) -> None:
    """Check where the search is, and the sums since its epoch began."""
    per_epoch, epochs = setup.steps_per_epoch, setup.settings.search.epochs
    epoch = fit.whole(saved["epoch"], 0, epochs, "epoch")
    last = (epoch + 1) * per_epoch if epoch < epochs else epoch * per_epoch
    within = fit.whole(saved["step"], epoch * per_epoch, last, "step") - epoch * per_epoch
    running = saved["running"]
    fit.keys(running, {"loss", "right", "seen"}, "running")
    most = within * setup.settings.search.batch * setup.composition.passes
    seen = fit.real(running["seen"], 0, most, "running.seen")
    fit.real(running["right"], 0, seen, "running.right")
    fit.real(running["loss"], 0, math.inf if seen else 0, "running.loss")
    stopped = saved["stopped"]
    if stopped is not None:
        fit.keys(stopped, {"reason", "epoch"}, "stopped")
        fit.same(stopped["reason"], "", "stopped.reason")
        fit.whole(stopped["epoch"], 1, epoch, "stopped.epoch")


def _history(setup: Setup, state: SearchState, saved: dict[str, Any]) -> None:
    """Check that there is one record for each epoch, with all of the architecture."""
    history = saved["history"]
    if not isinstance(history, list) or len(history) != saved["epoch"]:
        raise MisfitError(f"history: not the records of {saved['epoch']} epochs")
    for number, entry in enumerate(history, start=1):
        if not isinstance(entry, dict) or entry.get("epoch") != number:
            raise MisfitError(f"history: record {number} is of another epoch")
        for name, value in state.architecture.items():
            try:
                shape = torch.tensor(entry.get(name)).shape
            except (TypeError, ValueError, RuntimeError):
                shape = torch.Size()
            if shape != value.shape:
                raise MisfitError(f"history: record {number}: {name} is not {list(value.shape)}")


def _parts(setup: Setup, state: SearchState, saved: dict[str, Any]) -> None:
    """Check weights, architecture, optimisers and what was learned along."""
    memory, names = saved["memory"], {variant.name for variant in setup.composition.variants}
    if not isinstance(memory, dict) or not set(memory) <= names:
        raise MisfitError("memory: not what the variants of this run keep, by their names")
    for name in ("compiled", "inductor"):
        fit.same(saved[name], False, name)
    if saved["inductor"] and state.supernet.inductor is None:
        raise MisfitError("inductor: the settings do not ask for it")
    if saved["compiled"] and setup.settings.kernel != "auto":
        raise MisfitError("compiled: the settings do not ask for it")
    fit.same(saved["hypergradient"], dict(state.hypergradient), "hypergradient")
    changed: dict[str, Any] = {"lr": None}  # follows a schedule; looked at when all is loaded
    for variant in setup.composition.variants:
        own = saved["memory"].get(variant.name, {})
        changed |= variant.weight_settings(own if isinstance(own, dict) else {})
    fit.optimizer(saved["weight_optimizer"], state.weight_optimizer, "weight_optimizer", changed)
    fit.optimizer(
        saved["architecture_optimizer"], state.architecture_optimizer, "architecture_optimizer"
    )
    counts = {
        float(v["step"]) for v in saved["architecture_optimizer"]["state"].values() if "step" in v
    }
    if len(counts) > 1 or not all(c.is_integer() and 0 <= c <= saved["step"] for c in counts):
        raise MisfitError("architecture_optimizer.step: not a number of steps of this search")


def _rate(setup: Setup, state: SearchState) -> float:
    """Return the learning rate of the last step that updated the weights."""
    for step in reversed(range(state.step)):
        moment = setup.moment(state, "weights", step)
        if setup.composition.updates_weights(moment):
            return weight_rate(setup, moment)
    return setup.settings.search.weights.lr
