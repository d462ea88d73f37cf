"""The learning rate of stand-alone trainings, against values written from the official formulas."""

from __future__ import annotations

import math

import pytest
import torch

from bench.batches import steps_per_epoch
from bench.contracts import registry
from bench.training.train import Evaluation, Recipe, epoch_of, make_optimizer, rate

# NAS-Bench-201: 200 epochs from 0.1, no warm-up (configs/nas-benchmark/hyper-opts/200E.config of
# AutoDL-Projects); CosineAnnealingLR.get_lr of its procedures/optimizers.py gives
# eta_min + (base - eta_min)(1 + cos(pi epoch / T_max))/2 with a whole epoch, although it is told of
# every step. 196 steps: 50,000 images in batches of 256.
BY_EPOCH = {
    (0, 0): 0.1, (0, 195): 0.1, (1, 0): 0.0999938316, (1, 195): 0.0999938316,
    (100, 0): 0.05, (100, 195): 0.05, (199, 0): 6.16837587e-6, (199, 195): 6.16837587e-6,
}  # fmt: skip
# The same formula at epoch + step/196.
BY_STEP = {
    (0, 0): 0.1,
    (100, 0): 0.05,
    (0, 98): 0.0999984579,
    (199, 98): 1.54211e-6,
    (199, 195): 1.6057e-10,
}


@pytest.mark.parametrize(("cosine", "golden"), [("epoch", BY_EPOCH), ("step", BY_STEP)])
def test_the_rate_is_the_formula_s(cosine: str, golden: dict[tuple[int, int], float]) -> None:
    space = registry.parse("spaces", "nb201")
    recipe = Recipe.model_validate({**space.recipe, "cosine": cosine})
    for (epoch, step), value in golden.items():
        assert rate(recipe, 196 * epoch + step, 196) == pytest.approx(value, rel=1e-4, abs=0), (
            epoch,
            step,
        )


def test_the_benchmarks_own_recipe_goes_by_epoch_as_its_code_does() -> None:
    recipe = Recipe.model_validate(registry.parse("spaces", "nb201").recipe)
    assert (recipe.cosine, recipe.lr, recipe.lr_min, recipe.epochs) == ("epoch", 0.1, 0.0, 200)
    assert Recipe().cosine == "epoch"  # DARTS' train.py: scheduler.step() once an epoch


@pytest.mark.parametrize("cosine", ["epoch", "step"])
def test_every_step_is_taken_at_its_rate(cosine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs: what the optimiser held when it stepped, and that by step it ends near zero."""
    space = registry.parse("spaces", {"name": "nb201", "channels": 2, "cells": 1})
    data = registry.parse("data", {"name": "digits", "size": 60})
    recipe = Recipe.model_validate(
        {**space.recipe, "epochs": 4, "batch": 6, "test": "half", "cosine": cosine}
    )
    asked = Evaluation(space, (1,) * 6, data, recipe, 0)
    images = asked.images()[0]
    network = asked.network(images)
    optimizer, held = make_optimizer(network, recipe), []
    step = torch.optim.SGD.step

    def recorded(self: torch.optim.SGD, *rest: object) -> object:
        held.append(self.param_groups[0]["lr"])
        return step(self, *rest)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    entries = [epoch_of(asked, network, optimizer, images, epoch) for epoch in range(4)]
    steps = steps_per_epoch(images, 6)
    assert steps == 5 and len(held) == 20
    done = [t / 5 if cosine == "step" else t // 5 for t in range(20)]
    assert held == pytest.approx([0.05 * (1 + math.cos(math.pi * d / 4)) for d in done])
    assert [entry["lr"] for entry in entries] == pytest.approx(held[::5])
    assert held[-1] == pytest.approx(0.0146447 if cosine == "epoch" else 0.000615583, rel=1e-4)
