"""The signed pull on α: its closed form through the softmax, and nulls that are nulls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.data import Batch
from bench.instruments._inside import competing, probe
from bench.instruments.architecture_pull import (
    cosine,
    descents,
    direction,
    weight_free_direction,
)
from bench.instruments.gradient_share import gradients
from bench.search.setup import initial_state

SPACE = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
ALL = [[0, 1, 2, 3, 4]] * 6


def test_the_direction_is_a_contrast_of_the_two_kinds_without_none():
    """Skip and pool against both convolutions: ±½ on four operations of six edges, length √6."""
    found = weight_free_direction(ALL, SPACE)
    np.testing.assert_allclose(found, np.tile([0, 0.5, -0.5, -0.5, 0.5], (6, 1)) / math.sqrt(6))
    uneven = weight_free_direction([[1, 2, 3]] + [[1, 4]] * 5, SPACE)
    np.testing.assert_allclose(uneven[0], np.array([0, 1, -0.5, -0.5, 0]) / math.sqrt(1.5))
    assert not uneven[1:].any()
    assert np.isnan(weight_free_direction([[2, 3]] * 6, SPACE)).all()
    one = direction(ALL, [1], SPACE)
    np.testing.assert_allclose(one[0] / one[0, 1], [-0.25, 1, -0.25, -0.25, -0.25])


def test_a_pull_by_hand():
    pull = np.zeros((6, 5))
    pull[0] = [0.0, 3.0, -1.0, -1.0, -1.0]
    # (3 + 1 + 1 − 1)/2/√6 over √12.
    assert cosine(pull, weight_free_direction(ALL, SPACE)) == pytest.approx(2 / math.sqrt(72))
    assert math.isnan(cosine(0 * pull, weight_free_direction(ALL, SPACE)))


def test_it_is_the_gradient_of_the_mixture_taken_through_the_softmax(searched):
    """−∂L/∂α_o = p_o (Σ p G − G_o), with G from the instrument that reads the mixture."""
    setup, state = searched(spread=0.7)
    (batch,) = probe(setup, "architecture_pull", 1)
    G, _ = gradients(setup, state, batch, competing(setup, state))
    p = setup.mixture(state).double().numpy()
    expected = p * ((p * G).sum(-1, keepdims=True) - G)
    (found,) = descents(setup, state, state, [batch])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 0, atol=1e-6)


def test_a_step_along_it_lowers_the_loss(searched):
    setup, state = searched(spread=0.7)
    (batch,) = probe(setup, "architecture_pull", 1)
    (pull,) = descents(setup, state, state, [batch])

    def loss(step):
        alpha = state.architecture["alpha"].detach() + step * torch.tensor(pull).float()
        with torch.no_grad():
            logits = state.supernet(batch.images, torch.softmax(alpha, -1))
            return F.cross_entropy(logits, batch.labels).item()

    assert loss(1.0) < loss(0.0) < loss(-1.0)


def test_before_training_the_pull_is_its_null(small, read):
    from bench.search.setup import build

    setup = build(small(instruments=[]), [], seed=0)
    found = read(setup, initial_state(setup), "architecture_pull", batches=2)
    assert found["pull_untrained"] == pytest.approx(found["pull_weight_free"], abs=1e-9)
    assert found["pull_excess"] <= 1e-9


def test_training_parts_the_pull_from_its_null_and_alpha_is_that_of_now(searched, read):
    setup, state = searched(search={"epochs": 4, "batch": 16})
    found = read(setup, state, "architecture_pull", batches=2)
    assert abs(found["pull_untrained"] - found["pull_weight_free"]) > 1e-3
    fresh = initial_state(setup)
    fresh.architecture = state.architecture
    same = read(setup, fresh, "architecture_pull", batches=2)
    assert same["pull_weight_free"] == pytest.approx(found["pull_untrained"], abs=1e-9)


def test_labels_that_are_all_alike_cannot_be_shuffled(searched, read, monkeypatch):
    from bench.instruments import architecture_pull

    setup, state = searched(search={"epochs": 4, "batch": 16})
    found = read(setup, state, "architecture_pull", batches=2)
    assert abs(found["pull_shuffled"] - found["pull_weight_free"]) > 1e-3
    alike = [Batch(b.images, 0 * b.labels) for b in probe(setup, "architecture_pull", 2)]
    monkeypatch.setattr(architecture_pull, "probe", lambda *_: alike)
    again = read(setup, state, "architecture_pull", batches=2)
    assert again["pull_shuffled"] == pytest.approx(again["pull_weight_free"], abs=1e-9)


def test_the_excess_is_over_the_larger_null_and_the_error_over_batches(searched, read):
    setup, state = searched(search={"epochs": 2, "batch": 16})
    found = read(setup, state, "architecture_pull", batches=3)
    larger = max(found["pull_untrained"], found["pull_shuffled"])
    assert found["pull_excess"] == pytest.approx(found["pull_weight_free"] - larger)
    own = descents(setup, state, state, probe(setup, "architecture_pull", 3))
    toward = weight_free_direction(competing(setup, state), setup.space)
    along = (own * toward).sum((1, 2)) / np.linalg.norm(own.mean(0))
    assert found["pull_weight_free"] == pytest.approx(along.mean())
    assert found["pull_weight_free_se"] == pytest.approx(along.std(ddof=1) / math.sqrt(3))


def test_without_alpha_there_is_no_pull(searched, read):
    setup, state = searched("uniform_sampling")
    assert all(math.isnan(v) for v in read(setup, state, "architecture_pull").values())
    setup, state = searched()
    no_none = replace(setup)  # the same parts: names do not change with what is searched
    assert set(read(no_none, state, "architecture_pull")) >= {"pull_excess", "pull_by_none"}
