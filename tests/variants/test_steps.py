"""Variants of the two updates: perturbed mixtures, other images, several paths."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.search.loop import architecture_step, weight_step

WEIGHTS = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.0], [0.2, 0.2, 0.2, 0.2, 0.2]])


def parse(name, **parameters):
    return registry.parse("variants", {"name": name, **parameters})


@pytest.mark.parametrize(("epoch", "epsilon"), [(0, 0.03), (10, 0.084), (49, 0.03 + 0.27 * 0.98)])
def test_sdarts_grows_epsilon_as_the_code_does(epoch, epsilon, at):
    for name in ("sdarts_rs", "sdarts_adv"):
        assert parse(name, preset="paper").epsilon(at(epoch=epoch)) == pytest.approx(epsilon)


def test_sdarts_rs_adds_uniform_noise_clamps_and_renormalises(at):
    variant, now = parse("sdarts_rs", start=0.25, end=0.25), at(epoch=3)
    drawn = now.generator("sdarts_rs")
    noise = torch.empty(2, 5).uniform_(-0.25, 0.25, generator=drawn)
    expected = []
    for row, shift in zip(WEIGHTS.tolist(), noise.tolist(), strict=True):
        moved = [max(0.0, w + s) if w else 0.0 for w, s in zip(row, shift, strict=True)]
        expected.append([m / sum(moved) for m in moved])
    found = variant.perturb(WEIGHTS, lambda mixture: mixture.sum(), now)
    torch.testing.assert_close(found, torch.tensor(expected))
    scaled = variant.perturb(0.5 * WEIGHTS, lambda mixture: mixture.sum(), now)
    assert scaled.sum(-1).tolist() == pytest.approx([0.5, 0.5])


def test_sdarts_adv_climbs_a_linear_loss_to_the_corner_of_the_ball(at):
    # For loss c·p the sign steps push every weight to its bound; renormalising comes after.
    slope = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0]])
    weights, epsilon = torch.tensor([[0.25, 0.25, 0.25, 0.25, 0.0]]), 0.1
    variant = parse("sdarts_adv", start=epsilon, end=epsilon, steps=50)
    found = variant.perturb(weights, lambda p: (slope * p).sum(), at())
    torch.testing.assert_close(
        found, torch.tensor([[0.35, 0.15, 0.35, 0.15, 0.0]]), atol=5e-3, rtol=0
    )


def test_sdarts_adv_keeps_the_mixture_where_the_attack_lowers_the_loss(at):
    peak = lambda p: -((p - WEIGHTS) ** 2).sum()  # noqa: E731
    variant = parse("sdarts_adv", start=0.2, end=0.2, steps=1)
    assert torch.equal(variant.perturb(WEIGHTS, peak, at()), WEIGHTS)


def test_sdarts_perturbs_the_weight_step_and_not_the_architecture_step(tiny):
    updates = []
    for variants in ([], [{"name": "sdarts_rs", "start": 0.2, "end": 0.2}]):
        setup, state = tiny(*variants)
        architecture_step(setup, state)
        alpha = state.architecture["alpha"].clone()
        weight_step(setup, state)
        updates.append((alpha, next(state.supernet.parameters()).clone()))
    (alpha, weight), (same, other) = updates
    assert torch.equal(alpha, same) and not torch.equal(weight, other)


@pytest.mark.parametrize("images", ["train", "union"])
def test_one_level_gives_both_updates_the_same_images(images, tiny):
    setup, _ = tiny({"name": "one_level", "images": images})
    for step in range(3):
        one, other = setup.batch("train", step), setup.batch("valid", step)
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
    assert len(setup.images[images]) == (64 if images == "union" else 32)
    plain, _ = tiny()
    assert not torch.equal(plain.batch("train", 0).images, plain.batch("valid", 0).images)
    if images == "train":
        assert torch.equal(plain.batch("train", 0).images, setup.batch("valid", 0).images)


def test_one_level_union_shows_every_image_of_both_halves_once_in_two_steps(tiny):
    setup, _ = tiny({"name": "one_level", "images": "union"})
    seen = torch.cat([setup.batch("train", step).labels for step in (0, 1)])
    both = torch.cat([setup.data.train.labels, setup.data.valid.labels])
    assert seen.sort().values.tolist() == both.sort().values.tolist()


def test_fair_sampling_trains_every_operation_once_and_sums_the_gradients(tiny, at):
    setup, state = tiny("fair_sampling")
    (variant,) = setup.composition.variants
    assert setup.composition.passes == 5
    alpha = {"alpha": torch.zeros(6, 5)}
    paths = [variant.mixture(torch.zeros(6, 5), alpha, at(part=part)) for part in range(5)]
    assert torch.equal(sum(paths), torch.ones(6, 5))
    assert len({tuple(p.argmax(-1).tolist()) for p in paths}) == 5

    reference, moment = copy.deepcopy(state.supernet), setup.moment(state, "weights")
    batch = setup.batch("train", 0)
    for part in range(5):
        path = setup.composition.mixture(state.architecture, replace(moment, part=part)).detach()
        F.cross_entropy(reference(batch.images, path), batch.labels).backward()
    for p in state.supernet.parameters():
        p.grad = None
    clip = setup.settings.search.weights.clip
    torch.nn.utils.clip_grad_norm_(reference.parameters(), clip)
    weight_step(setup, state)
    for mine, theirs in zip(state.supernet.parameters(), reference.parameters(), strict=True):
        if theirs.grad is not None:
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
