"""Gradient share: hand-set gradients, and the textbook supernet's own activations."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.variant import Variant
from bench.instruments._inside import competing, probe
from bench.instruments.gradient_share import gradients, nulls, pulls, shares
from bench.search.composition import Composition
from tests.spaces.textbook import TextbookSupernet

SPACE = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
ALL = [[0, 1, 2, 3, 4]] * 6


def test_shares_of_a_hand_set_gradient():
    """Per edge 0 for none, 3 for skip, 1 and 2 for the convolutions, 4 for the pool: S = 7/10."""
    values = np.tile([0.0, 3.0, 1.0, 2.0, 4.0], (6, 1))
    found = shares(values, ALL, SPACE)
    assert found["gradient_share"] == pytest.approx(0.7)
    assert found["gradient_by_skip_connect"] == pytest.approx(0.3)
    assert found["gradient_by_nor_conv_3x3"] == pytest.approx(0.2)
    assert found["gradient_by_none"] == 0
    # On the last three edges only skip and the small convolution are left: (3·7 + 3·3)/(30 + 12).
    fewer = ALL[:3] + [[1, 2]] * 3
    assert shares(values, fewer, SPACE)["gradient_share"] == pytest.approx(30 / 42)


def test_equal_gradients_give_the_null_without_none():
    values = np.tile([0.0, 1.0, 1.0, 1.0, 1.0], (6, 1))
    assert nulls(ALL, SPACE) == (0.5, 0.6)
    assert shares(values, ALL, SPACE)["gradient_share"] == pytest.approx(0.5)
    fewer = ALL[:3] + [[1, 2, 3]] * 3
    free, with_none = nulls(fewer, SPACE)
    assert (free, with_none) == (pytest.approx(9 / 21), pytest.approx(12 / 24))
    assert shares(values, fewer, SPACE)["gradient_share"] == pytest.approx(free)
    assert math.isnan(shares(values, [[2, 3]] * 6, SPACE)["gradient_share"])  # one kind only


def test_pull_is_the_way_of_descent():
    cosine = np.tile([np.nan, 0.25, -0.5, 0.0, 0.75], (6, 1))
    cosine[0, 1] = np.nan  # an edge that nothing reaches
    found = pulls(cosine, ALL, SPACE)
    assert found["gradient_by_skip_connect_pull"] == pytest.approx(-0.25)
    assert found["gradient_by_nor_conv_1x1_pull"] == pytest.approx(0.5)
    assert math.isnan(found["gradient_by_none_pull"])


def from_the_textbook(setup, state, batch):
    """Sum ⟨δ, o(x)⟩ and both squared norms over the cells of the naive supernet."""
    naive = TextbookSupernet(1, 10, 4, 2)
    naive.copy_from(state.supernet)
    kept = {}

    def keep(key):
        def hook(module, inputs, output):
            y = output * 1.0  # a tensor of its own: skips hand their input on
            if y.requires_grad:
                y.retain_grad()
            kept[key] = y
            return y

        return hook

    cells = [block for block in naive.blocks if hasattr(block, "edges")]
    for c, cell in enumerate(cells):
        for e, edge in enumerate(cell.edges):
            edge.register_forward_hook(keep((c, e)))
            for o, operation in enumerate(edge.ops):
                operation.register_forward_hook(keep((c, e, o)))
    mixture = setup.mixture(state)
    F.cross_entropy(naive(batch.images, mixture), batch.labels).backward()
    inner, deltas, outputs = torch.zeros(6, 5), torch.zeros(6), torch.zeros(6, 5)
    for c in range(len(cells)):
        for e in range(6):
            delta = kept[c, e].grad
            deltas[e] += (delta**2).sum()
            for o in range(5):
                y = kept[c, e, o].detach()
                inner[e, o] += (delta * y).sum()
                outputs[e, o] += (y**2).sum()
    return inner, inner / (deltas[:, None] * outputs).sqrt()


def test_gradient_and_cosine_are_those_of_the_textbook_supernet(searched):
    setup, state = searched(space={"name": "nb201", "channels": 4, "cells": 2})
    (batch,) = probe(setup, "gradient_share", 1)
    gradient, cosine = gradients(setup, state, batch, competing(setup, state))
    inner, expected = from_the_textbook(setup, state, batch)
    np.testing.assert_allclose(gradient, inner, rtol=2e-3, atol=2e-6)
    np.testing.assert_allclose(cosine[:, 1:], expected[:, 1:], rtol=2e-3, atol=2e-6)
    assert (gradient[:, 0] == 0).all() and np.isnan(cosine[:, 0]).all()
    assert (np.abs(cosine[:, 1:]) <= 1).all()


def test_gradient_is_the_slope_of_the_loss_in_the_mixture(searched):
    setup, state = searched()
    (batch,) = probe(setup, "gradient_share", 1)
    gradient, _ = gradients(setup, state, batch, competing(setup, state))
    double = state.supernet.double()
    mixture = setup.mixture(state).double()
    with torch.no_grad():
        for edge, operation in ((0, 1), (3, 3), (5, 4)):
            values = []
            for step in (1e-6, -1e-6):
                moved = mixture.clone()
                moved[edge, operation] += step
                logits = double(batch.images.double(), moved)
                values.append(F.cross_entropy(logits, batch.labels).item())
            slope = (values[0] - values[1]) / 2e-6
            assert gradient[edge, operation] == pytest.approx(slope, rel=1e-2, abs=1e-5)


def test_cosines_do_not_see_the_scale_of_an_operation(searched):
    """A pool that gives ten times as much has ten times the gradient and the same cosine."""
    setup, state = searched(spread=0.5)
    (batch,) = probe(setup, "gradient_share", 1)
    kept = competing(setup, state)
    before, cosine = gradients(setup, state, batch, kept)

    class Scaled(Variant):
        touches = ("avg_pool_3x3",)

        def operation(self, y, site, moment):
            return 10 * y

        def mixture(self, weights, architecture, moment):
            weights = weights.clone()
            weights[:, 4] /= 10  # the same network
            return weights

    scaled = replace(setup, composition=Composition([Scaled()], setup.space))
    after, same = gradients(scaled, state, batch, kept)
    np.testing.assert_allclose(after[:, 4], 10 * before[:, 4], rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(after[:, 1:4], before[:, 1:4], rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(same[:, 1:], cosine[:, 1:], rtol=1e-2, atol=1e-5)


def test_readings_are_means_over_a_frozen_probe_set(searched, read):
    setup, state = searched()
    found = read(setup, state, "gradient_share", batches=3)
    kept, own = competing(setup, state), []
    for batch in probe(setup, "gradient_share", 3):
        gradient, _ = gradients(setup, state, batch, kept)
        own.append(np.abs(gradient)[:, [0, 1, 4]].sum() / np.abs(gradient).sum())
    assert found["gradient_share"] == pytest.approx(np.mean(own))
    assert found["gradient_share_sd"] == pytest.approx(np.std(own, ddof=1))
    assert found["gradient_excess"] == pytest.approx(np.mean(own) - 0.5)
    assert (found["gradient_null"], found["gradient_null_with_none"]) == (0.5, 0.6)
    state.step, state.epoch = 100, 50
    assert read(setup, state, "gradient_share", batches=3) == pytest.approx(found, nan_ok=True)


@pytest.mark.parametrize("K", [1, 2])
def test_any_operation_of_an_edge_gives_the_same_cosines(searched, monkeypatch, K):
    """δ is read off one operation per edge: the same from another, with partial channels too."""
    from bench.instruments import gradient_share

    setup, state = searched({"name": "partial_channels", "K": K, "warmup": 0}, spread=0.3)
    (batch,) = probe(setup, "gradient_share", 1)
    kept, found = competing(setup, state), []
    for chosen in (1, 2, 3, 4):
        monkeypatch.setattr(gradient_share, "strongest", lambda *_, o=chosen: [o] * 6)
        found.append(gradients(setup, state, batch, kept)[1])
        np.testing.assert_allclose(found[-1], found[0], rtol=1e-3, atol=1e-6)
    assert np.isfinite(found[0][:, 1:]).all() and (np.abs(found[0][:, 1:]) <= 1).all()


def test_a_probe_set_is_drawn_without_replacement_and_only_repeats_when_used_up(searched):
    setup, _ = searched()
    images = [tuple(x.flatten().tolist()) for b in probe(setup, "x", 2) for x in b.images]
    assert len(images) == len(set(images)) == 64  # the whole half
    assert len(probe(setup, "x", 5)) == 5
    assert torch.equal(probe(setup, "x", 2)[0].images, probe(setup, "x", 5)[0].images)
    assert not torch.equal(probe(setup, "x", 1)[0].images, probe(setup, "y", 1)[0].images)
    train = {tuple(x.flatten().tolist()) for b in probe(setup, "x", 2, "train") for x in b.images}
    assert not train & set(images)
