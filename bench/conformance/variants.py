"""What every variant promises."""

from __future__ import annotations

import copy
import math

import torch

from bench.conformance import Check, expect
from bench.conformance._small import BASE, same, searched
from bench.contracts import registry
from bench.contracts.variant import Variant
from bench.runs.restore import restore
from bench.search.loop import Interrupted, search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state


def finite(variant: Variant) -> None:
    """A search with it ends in finite numbers."""
    _, state = searched([variant])
    expect(math.isfinite(state.history[-1]["train_loss"]), "the training loss is not finite")
    for name, value in state.architecture.items():
        expect(bool(torch.isfinite(value).all()), f"{name} is not finite")


def reproducible(variant: Variant) -> None:
    """Two searches are the same, and torch's global stream is left alone."""
    before = torch.get_rng_state()
    (_, first), (_, second) = searched([variant]), searched([variant])
    expect(torch.equal(before, torch.get_rng_state()), "it draws from torch's global stream")
    same(first, second, "two searches of one seed differ")


def off_is_plain(variant: Variant) -> None:
    """With its parameters ``off`` a search is plain DARTS."""
    if variant.off is None:
        said = "no off" in " ".join((variant.__doc__ or "").split())
        expect(said, "off is None and the docstring does not say why ('no off: …')")
        return
    off = registry.parse("variants", {"name": variant.name, **variant.off})
    same(searched([off])[1], searched()[1], "off differs from plain DARTS")


def resumes(variant: Variant) -> None:
    """A search that was interrupted goes on as if it had not been."""
    setup = build(Settings.model_validate(BASE), [variant], seed=0)
    state, steps = initial_state(setup), 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == 2 * setup.steps_per_epoch

    try:
        search(setup, state, asked_to_stop=stop)
    except Interrupted:
        saved = copy.deepcopy(state.to_dict())
        state = initial_state(setup)
        restore(setup, state, saved)
        search(setup, state)
    same(state, searched([variant])[1], "resumed it differs; keep what must last in state.memory")


def composes(variant: Variant) -> None:
    """It runs beside another variant, or the two are refused in a sentence."""
    for other in ("skip_dropout", "beta_darts"):
        try:
            searched([registry.parse("variants", other), variant])
        except ValueError as error:
            expect(bool(str(error)), f"beside {other}: refused without a word")


def honest_source(variant: Variant) -> None:
    """It says where it comes from."""
    expect(bool(variant.paper), "paper is empty; 'own' will do")


CHECKS: dict[str, Check] = {
    "says where it comes from": honest_source,
    "a search with it ends in finite numbers": finite,
    "two searches of one seed are the same, and torch's global stream is left alone": reproducible,
    "off is plain DARTS, bit for bit": off_is_plain,
    "an interrupted search goes on bit for bit": resumes,
    "runs beside other variants": composes,
}
