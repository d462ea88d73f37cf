"""The α-Hessian: closed forms, an independent dense Hessian, null directions, an unseen reading."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.hypergradient import InnerStep
from bench.instruments import _hessian as hessian
from bench.instruments.alpha_hessian import AlphaHessian, validation_loss
from bench.search.loop import search
from bench.search.setup import build, initial_state
from tests.hypergradients.problems import close, images, network


def started(settings, variants=(), double=False):
    setup = build(settings, [registry.parse("variants", v) for v in variants], 0)
    state = initial_state(setup)
    if double:
        state.supernet.double()
        state.architecture = {
            name: value.detach().double().requires_grad_()
            for name, value in state.architecture.items()
        }
    return setup, state


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quadratics(count, size=30, seed=0):
    """Losses ½αᵀQα + cα with their Q, as a space of 6 edges would shape α."""
    made = []
    for b in range(count):
        half = randn(size, size, seed=seed + b)
        q, c = half + half.T, randn(size, seed=seed + 100 + b)
        made.append(
            (q, lambda a, q=q, c=c: 0.5 * a.reshape(-1) @ q @ a.reshape(-1) + c @ a.view(-1))
        )
    return made


@pytest.mark.parametrize("at_once", [1, 4, 30])
def test_closed_forms(at_once):
    alpha = randn(6, 5)
    ((q, loss),) = quadratics(1)
    torch.testing.assert_close(hessian.matrix(loss, alpha, at_once), q, rtol=1e-12, atol=1e-12)
    # f = c·softmax(α) on one edge: with g = p∘(c − f), H = diag(g) − p gᵀ − g pᵀ.
    c, row = randn(5, seed=1), randn(1, 5, seed=2)
    p = row[0].softmax(0)
    g = p * (c - p @ c)
    expected = torch.diag(g) - torch.outer(p, g) - torch.outer(g, p)
    found = hessian.matrix(lambda a: (a.softmax(-1) * c).sum(), row, at_once)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    for flat in (lambda a: (a * c).sum(), lambda a: c.sum()):  # linear in α, and blind to it
        assert not hessian.matrix(flat, row, at_once).any()


def test_it_is_the_derivative_of_the_gradient_on_a_smooth_network():
    """Central differences of the gradient in float64, where there are no kinks."""
    problem, (batch,) = network(InnerStep(lr=0.1)), images(1)
    weights = {name: weight.detach() for name, weight in problem.weights.items()}
    alpha = problem.architecture["normal"].detach()

    def loss(a):
        return problem.valid_loss(weights, {**problem.architecture, "normal": a}, batch)

    def gradient(a):
        leaf = a.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf)[0].reshape(-1)

    step, columns = 1e-5, []
    for i in range(alpha.numel()):
        shift = torch.zeros(alpha.numel(), dtype=torch.float64)
        shift[i] = step
        shift = shift.view(alpha.shape)
        columns.append((gradient(alpha + shift) - gradient(alpha - shift)) / (2 * step))
    found = hessian.matrix(loss, alpha)
    assert found.norm() > 1e-3
    close(found, torch.stack(columns, 1), rtol=1e-7)


MIXTURES = {(): lambda a: a.softmax(-1), ("fair_darts",): lambda a: a.sigmoid()}


@pytest.mark.parametrize("variants", MIXTURES)
def test_the_hessian_of_a_supernet_equals_an_independent_dense_one(small, variants):
    """By torch's own double loop, through the supernet and the mixture written out; float64."""
    setup, state = started(small(search={"batch": 8}), variants, double=True)
    instrument, alpha = AlphaHessian(batches=2), state.architecture["alpha"].detach()
    dense = []
    for batch in instrument.probes(setup, state):
        dense.append(
            torch.autograd.functional.hessian(
                lambda a, batch=batch: F.cross_entropy(
                    state.supernet(batch.images.double(), MIXTURES[variants](a)), batch.labels
                ),
                alpha,
            ).reshape(30, 30)
        )
    loss = validation_loss(setup, state, batch)
    torch.testing.assert_close(hessian.matrix(loss, alpha), dense[-1], rtol=1e-8, atol=1e-10)
    mean = torch.stack(dense).mean(0)
    # Softmax does not feel a shift of all α of an edge; sigmoids do, but not the α of `none`.
    shift = (mean @ torch.kron(torch.eye(6), torch.ones(5, 1)).double()).abs().max()
    none = mean.view(6, 5, 30)[:, 0].abs().max()
    small_one, large_one = (none, shift) if variants else (shift, none)
    assert small_one < 1e-12 and large_one > 1e-5

    values, vectors = torch.linalg.eigh(mean)
    wide = int(values.abs().argmax())
    expected = {
        "hessian_eigenvalue_max": values[-1],
        "hessian_eigenvalue_magnitude": values[wide],
        "hessian_trace": mean.diagonal().sum(),
    }
    expected |= {f"hessian_spectrum_{i:02d}": value for i, value in enumerate(values)}
    for which, v in (("max", vectors[:, -1]), ("magnitude", vectors[:, wide])):
        expected[f"hessian_eigenvalue_{which}_sd"] = torch.stack([v @ h @ v for h in dense]).std()
    for b, h in enumerate(dense):
        expected[f"hessian_spectrum_batch_{b}"] = torch.linalg.eigvalsh(h)[-1]
    found = instrument.observe(setup, state)
    assert found == pytest.approx({k: float(v) for k, v in expected.items()}, abs=1e-10)
    assert found["hessian_eigenvalue_max_sd"] > 1e-4  # the batches are not one and the same
    assert int((values.abs() < 1e-12).sum()) == 6


def test_at_the_start_the_largest_in_magnitude_is_another(small):
    setup, state = started(small())
    found = AlphaHessian(batches=1).observe(setup, state)
    assert found["hessian_eigenvalue_magnitude"] < 0 < found["hessian_eigenvalue_max"]
    assert -found["hessian_eigenvalue_magnitude"] > found["hessian_eigenvalue_max"]


def test_lanczos_finds_the_largest_and_says_how_far_it_depends_on_the_batch():
    made, alpha, start = quadratics(4), torch.zeros(6, 5).double(), randn(30, seed=9)
    losses, all_q = [loss for _, loss in made], torch.stack([q for q, _ in made])
    values, vectors = torch.linalg.eigh(all_q.mean(0))
    v = vectors[:, -1]
    found = hessian.largest(losses, alpha, start, tolerance=1e-9)
    assert found.value == pytest.approx(float(values[-1]), rel=1e-12)
    assert abs(float(found.vector @ v)) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(found.shares, torch.stack([v @ q @ v for q in all_q]))
    assert float(found.shares.mean()) == pytest.approx(found.value)
    assert found.spread == pytest.approx(float(found.shares.std())) and found.products <= 30
    rough = hessian.largest(losses, alpha, start, tolerance=0.01)
    assert rough.products < found.products
    assert rough.value == pytest.approx(float(values[-1]), rel=1e-3)
    assert math.isnan(hessian.largest(losses[:1], alpha, start, 0.01).spread)


def test_lanczos_ends_where_nothing_is_left_to_find():
    """The Hessian 2·1 has one eigenvalue, the zero matrix has none else; a start may be exact."""
    start = randn(30)
    twice = hessian.largest([lambda a: (a * a).sum()], torch.zeros(6, 5).double(), start, 1e-12)
    assert twice.value == pytest.approx(2) and twice.products == 1
    nothing = hessian.largest([lambda a: a.sum()], torch.zeros(6, 5).double(), start, 1e-12)
    assert nothing.value == 0 and nothing.products == 1


def test_lanczos_reads_what_the_matrix_reads(small):
    setup, state = started(small())
    search(setup, state)
    whole = AlphaHessian(batches=2).observe(setup, state)
    alone = AlphaHessian(batches=2, mode="lanczos").observe(setup, state)
    assert set(alone) == {"hessian_eigenvalue_max", "hessian_eigenvalue_max_sd"}
    scale = abs(whole["hessian_eigenvalue_magnitude"])
    for name, value in alone.items():
        assert value == pytest.approx(whole[name], abs=0.01 * scale)


def test_the_official_probe_is_the_batch_of_the_last_update_with_weight_decay(small):
    setup, state = started(small(search={"batch": 8}), double=True)
    state.step = 3
    found = AlphaHessian(probe="official").observe(setup, state)
    batch = setup.batch("valid", 2)
    loss = validation_loss(setup, state, batch)
    expected = hessian.matrix(loss, state.architecture["alpha"]) + 1e-3 * torch.eye(30)
    top = float(torch.linalg.eigvalsh(expected)[-1])
    assert found["hessian_eigenvalue_max"] == pytest.approx(top, abs=1e-10)
    assert found["hessian_spectrum_batch_0"] == pytest.approx(top, abs=1e-10)
    assert "hessian_spectrum_batch_1" not in found
    assert math.isnan(found["hessian_eigenvalue_max_sd"])
    alone = AlphaHessian(probe="official", mode="lanczos", tolerance=1e-6).observe(setup, state)
    assert alone["hessian_eigenvalue_max"] == pytest.approx(top, abs=1e-8)


def test_probes_are_frozen_and_of_the_validation_half(small):
    setup, state = started(small())
    first = AlphaHessian().probes(setup, state)
    state.step, state.epoch = 5, 1
    again = AlphaHessian().probes(setup, state)
    assert len(first) == 8 and all(len(batch.labels) == 32 for batch in first)
    assert all(map(torch.equal, (b.images for b in first), (b.images for b in again)))
    assert not torch.equal(first[0].images, first[1].images)
    other = AlphaHessian().probes(replace(setup, seed=1), state)
    assert not torch.equal(first[0].labels, other[0].labels)
    everything = {tuple(row) for row in setup.data.valid.pixels.flatten(1).tolist()}
    plain = (first[0].images * setup.data.valid.std[0] + setup.data.valid.mean[0]) * 255
    assert {tuple(row) for row in plain.round().int().flatten(1).tolist()} <= everything


def test_a_search_does_not_notice_it(small):
    """State, gradients, buffers and random stream as before; the same numbers again."""
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}
    settings = small(instruments=[], space=space, search={"epochs": 1, "batch": 32})
    setup, state = started(settings, [{"name": "skip_dropout", "rate": 0.5}])
    search(setup, state)
    before, stream = copy.deepcopy(state.to_dict()), torch.get_rng_state()
    slopes = [copy.deepcopy(p.grad) for p in state.supernet.parameters()]
    for mode in ("matrix", "lanczos"):
        instrument = AlphaHessian(batches=1, mode=mode)
        found, again = instrument.observe(setup, state), instrument.observe(setup, state)
        assert found == pytest.approx(again, rel=0, abs=0, nan_ok=True) and len(found) > 1
    assert torch.equal(stream, torch.get_rng_state())
    torch.testing.assert_close(state.to_dict(), before, rtol=0, atol=0)
    now = [p.grad for p in state.supernet.parameters()]
    torch.testing.assert_close(now, slopes, rtol=0, atol=0)


def test_its_readings_land_in_the_history_and_are_undefined_without_alpha(small):
    entry = {"name": "alpha_hessian", "batches": 2, "every": 2}
    names = {}
    for variants in ((), ("uniform_sampling",)):
        setup, state = started(small(instruments=[entry]), variants)
        search(setup, state)
        assert not any("hessian" in name for name in state.history[0])
        found = {k: v for k, v in state.history[1].items() if "hessian" in k}
        assert all(math.isfinite(v) != bool(variants) for v in found.values())
        names[variants] = set(found)
    assert len(names[()]) == 5 + 30 + 2 and names[()] == names[("uniform_sampling",)]
    main = {name for name in names[()] if not name.startswith(AlphaHessian.details)}
    assert len(main) == 5 and "hessian_eigenvalue_max" in main


def test_weights_that_are_not_finite_give_no_number_and_no_error(small):
    setup, state = started(small())
    with torch.no_grad():
        next(state.supernet.parameters()).fill_(math.inf)
    for mode in ("matrix", "lanczos"):
        found = AlphaHessian(batches=2, mode=mode).observe(setup, state)
        assert found and all(map(math.isnan, found.values()))


@pytest.mark.parametrize("name", registry.names("variants"))
def test_it_reads_a_search_under_every_variant(name, small):
    setup, state = started(small(search={"batch": 8}), [name])
    found = AlphaHessian(mode="lanczos", batches=1).observe(setup, state)
    learned = setup.composition.learns_architecture
    assert math.isfinite(found["hessian_eigenvalue_max"]) == learned


def test_operations_that_are_out_have_no_curvature(small):
    setup, state = started(small(search={"batch": 8}), ["operation_shrinking"])
    state.memory["operation_shrinking"] = [[1, 2, 3]] * 6
    (batch,) = AlphaHessian(batches=1).probes(setup, state)
    loss = validation_loss(setup, state, batch)
    found = hessian.matrix(loss, state.architecture["alpha"]).view(6, 5, 6, 5)
    assert not found[:, [0, 4]].any() and found[:, [1, 2, 3]].abs().max() > 1e-3
