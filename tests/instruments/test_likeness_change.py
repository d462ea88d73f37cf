"""The change of likeness since the start: zero at the start, and by hand after it."""

import copy

import pytest
import torch
from torch.nn import functional as F

from bench.instruments._inside import probe
from bench.search.setup import build, initial_state


def test_it_is_zero_before_training_whatever_alpha_is(small, read):
    setup = build(small(instruments=[]), [], seed=0)
    state = initial_state(setup)
    with torch.no_grad():
        state.architecture["alpha"] += torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    found = read(setup, state, "likeness_change", batches=2)
    for quantity in ("cka", "correlation", "vif"):
        assert found[f"likeness_{quantity}"] == pytest.approx(0, abs=1e-9), quantity


def test_it_is_now_minus_untrained_on_the_same_images(searched, read):
    setup, state = searched(search={"epochs": 4, "batch": 16})
    found = read(setup, state, "likeness_change", batches=2)
    fresh = initial_state(setup)
    fresh.architecture = state.architecture
    now = read(setup, state, "co_adaptation", batches=2)
    then = read(setup, fresh, "co_adaptation", batches=2)
    for quantity in ("cka", "correlation", "vif"):
        name = f"coadaptation_{quantity}_mean"
        assert found[f"likeness_{quantity}"] == pytest.approx(now[name] - then[name], abs=1e-9)
        assert abs(found[f"likeness_{quantity}"]) > 1e-3


def test_operations_that_have_become_one_and_the_same_are_more_alike(searched, read):
    """The small convolution becomes the middle of the large one, which has nothing else."""
    setup, state = searched(search={"epochs": 4, "batch": 16})
    before = read(setup, state, "likeness_change", batches=2)
    alike = copy.deepcopy(state)
    with torch.no_grad():
        named = dict(alike.supernet.named_parameters())
        for name, weight in named.items():
            if ".conv3." in name:
                small = named[name.replace(".conv3.", ".conv1.")]
                centre = weight[..., 1:2, 1:2].clone()
                weight.zero_()
                weight[..., 1:2, 1:2] = centre
                small.copy_(centre)
    after = read(setup, alike, "likeness_change", batches=2)
    assert after["likeness_cka"] > before["likeness_cka"] + 0.05
    assert after["likeness_vif"] > before["likeness_vif"] + 1


def test_its_loss_is_that_of_the_mixture_on_training_images(searched, read):
    setup, state = searched("skip_dropout", search={"epochs": 2, "batch": 16})
    found = read(setup, state, "likeness_change", batches=2)
    with torch.no_grad():
        own = [
            F.cross_entropy(state.supernet(b.images, setup.mixture(state)), b.labels).item()
            for b in probe(setup, "likeness_change", 2, "train")
        ]
    assert found["likeness_loss"] == pytest.approx(sum(own) / 2, rel=1e-5)
