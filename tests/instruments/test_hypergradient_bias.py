"""The bias instrument: closed forms of its numbers, and a search that does not notice it."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.contracts import registry
from bench.contracts.hypergradient import InnerStep
from bench.hypergradients.first_order import FirstOrder
from bench.hypergradients.neumann import Neumann
from bench.hypergradients.reverse import Reverse
from bench.instruments import _bias as bias
from bench.instruments._memory import LiveBytes, peak_bytes
from bench.instruments.hypergradient_bias import projected, skip_direction
from bench.search.loop import search
from bench.search.setup import build, initial_state
from tests.hypergradients.problems import flat, quadratic

CPU = torch.device("cpu")
LR, T = 0.1, 12
SMALL = {
    "name": "hypergradient_bias",
    "sequences": 2,
    "reference": {"name": "reverse", "T": 4},
    "estimators": {"first_order": "first_order", "long": {"name": "reverse", "T": 4}},
}


def unrolled(q, steps):
    """The implicit part after ``steps`` of plain descent: SCIENCE's BᵀH⁻¹(I − C^T)(w_T − t)."""
    H, B, _ = q.batches[0]
    C = torch.linalg.matrix_power(torch.eye(6).double() - LR * H, steps)
    w_star = torch.linalg.solve(H, q.force(0))
    w_T = C @ q.w + (torch.eye(6).double() - C) @ w_star
    return B.T @ torch.linalg.solve(H, (torch.eye(6).double() - C) @ (w_T - q.t))


def measured(seeds, estimators, toward=None):
    problems = [quadratic(InnerStep(lr=LR), seed=seed) for seed in seeds]
    cases = [bias.Case(q.problem, q.batches * T, q.valid) for q in problems]
    toward = torch.eye(4).double()[1] if toward is None else toward
    numbers = bias.measure(
        cases, estimators, Reverse(T=T), lambda g: flat(g).detach().double(), toward, CPU
    )
    return problems, numbers


def test_the_error_of_first_order_is_the_implicit_part():
    """The direct part of the quadratic does not depend on w: what is missing is all the error."""
    (q,), found = measured([0], {"first_order": FirstOrder()})
    implicit = unrolled(q, T)
    whole = q.direct + implicit
    assert found["reference_norm"] == pytest.approx(float(whole.norm()), rel=1e-10)
    assert found["reference_implicit_norm"] == pytest.approx(float(implicit.norm()), rel=1e-10)
    error = float(implicit.norm() / whole.norm())
    assert found["first_order_error"] == pytest.approx(error, rel=1e-10)
    assert found["first_order_bias"] == pytest.approx(error, rel=1e-10)
    cosine = float(q.direct @ whole / (q.direct.norm() * whole.norm()))
    assert found["first_order_cosine"] == pytest.approx(cosine, rel=1e-10)
    assert found["first_order_ratio"] == pytest.approx(float(q.direct.norm() / whole.norm()))
    assert found["first_order_sign"] == float((q.direct.sign() == whole.sign()).double().mean())
    assert found["first_order_skip"] == pytest.approx(-float(q.direct[1]), rel=1e-10)
    assert found["reference_implicit_skip"] == pytest.approx(-float(implicit[1]), rel=1e-10)
    shift = -q.direct[1] / q.direct.norm() + whole[1] / whole.norm()
    assert found["first_order_skip_shift"] == pytest.approx(float(shift), rel=1e-10)
    # Without an implicit part there is no direction to compare, and all of it is missing.
    assert found["first_order_implicit_error"] == 1 and found["first_order_implicit_ratio"] == 0
    assert math.isnan(found["first_order_implicit_cosine"])
    assert math.isnan(found["first_order_implicit_sign"])


def test_the_reference_is_at_no_distance_from_itself():
    _, found = measured([0, 1], {"same": Reverse(T=T), "segments": Reverse(T=T, segment=5)})
    for label in ("same", "segments"):
        for part in ("", "implicit_"):
            assert found[f"{label}_{part}cosine"] == pytest.approx(1)
            assert found[f"{label}_{part}ratio"] == pytest.approx(1)
            assert found[f"{label}_{part}sign"] == 1
            assert found[f"{label}_{part}error"] == pytest.approx(0, abs=1e-12)
        assert found[f"{label}_bias"] == pytest.approx(0, abs=1e-12)
        assert found[f"{label}_skip_shift"] == pytest.approx(0, abs=1e-12)
        assert found[f"{label}_variance"] == pytest.approx(found["reference_variance"])


def test_the_implicit_part_alone_is_compared_with_the_implicit_part():
    """A truncated series at the start of the steps, in closed form."""
    (q,), found = measured([3], {"short": Reverse(T=2), "series": Neumann(K=3, a=LR)})
    exact, short = unrolled(q, T), unrolled(q, 2)
    H, B, _ = q.batches[0]
    C = torch.eye(6).double() - LR * H
    series = B.T @ (LR * (torch.eye(6).double() + C + C @ C)) @ (q.w - q.t)
    for label, own in (("short", short), ("series", series)):
        error = float((own - exact).norm() / exact.norm())
        assert found[f"{label}_implicit_error"] == pytest.approx(error, rel=1e-9)
        cosine = float(own @ exact / (own.norm() * exact.norm()))
        assert found[f"{label}_implicit_cosine"] == pytest.approx(cosine, rel=1e-9)


def test_bias_and_variance_over_sequences():
    """By their definitions, from the closed forms of five problems."""
    seeds = range(5)
    problems, found = measured(seeds, {"first_order": FirstOrder()})
    exact = np.stack([(q.direct + unrolled(q, T)).numpy() for q in problems])
    own = np.stack([q.direct.numpy() for q in problems])
    scale = np.linalg.norm(exact.mean(0))
    spread = sum(np.var(own[:, i], ddof=1) for i in range(4))
    assert found["first_order_variance"] == pytest.approx(spread / scale**2)
    error = own - exact
    noise = sum(np.var(error[:, i], ddof=1) for i in range(4)) / len(error)
    squared = max(0.0, (error.mean(0) ** 2).sum() - noise)
    assert found["first_order_bias"] == pytest.approx(math.sqrt(squared) / scale)
    shares = [-g[1] / np.linalg.norm(g) for g in own]
    assert found["first_order_skip_share"] == pytest.approx(np.mean(shares))
    assert found["first_order_skip_share_se"] == pytest.approx(np.std(shares, ddof=1) / 5**0.5)


def test_the_correction_makes_bias_right_on_average():
    """Noise alone has no bias: with 4 cases the plain ‖mean error‖² is spread/4, not zero."""
    rng = np.random.default_rng(0)
    exact = np.ones((4, 3))

    def squared(noise):
        own = bias.Sample(exact + noise, exact, 0, 0, 0, 0)
        reference = bias.Sample(exact, exact, 0, 0, 0, 0)
        return bias.distance(own, reference, np.eye(3)[0])["bias"] ** 2

    found = [squared(rng.normal(size=(4, 3)) + 2.0) for _ in range(400)]
    assert np.mean(found) == pytest.approx(4.0, rel=0.1)  # ‖(2, 2, 2)‖² / ‖(1, 1, 1)‖²


def test_the_debiased_cosine_is_that_of_the_expected_gradients():
    """Noise ten times as large as the gradients: the plain cosine is near zero, this one is not."""
    rng = np.random.default_rng(1)
    a, b = np.zeros(40), np.zeros(40)
    a[0], b[0], b[1] = 1.0, 0.6, 0.8  # cosine 0.6
    found, plain, errors = [], [], []
    for _ in range(150):
        shared = rng.normal(size=(64, 40))  # of one case, so that it is in both
        own, exact = a + shared + rng.normal(size=(64, 40)), b + shared
        value, error = bias.debiased_cosine(own, exact)
        found.append(value)
        errors.append(error)
        plain.append(bias._pairwise(own, exact)["cosine"])
    assert np.nanmean(found) == pytest.approx(0.6, abs=0.05)
    assert abs(np.mean(plain) - 0.6) > 0.08  # noise that is shared makes it too large
    assert np.nanmedian(errors) == pytest.approx(np.nanstd(found), rel=0.35)
    independent = [
        bias._pairwise(a + rng.normal(size=(64, 40)), b + rng.normal(size=(64, 40)))["cosine"]
        for _ in range(20)
    ]
    assert np.mean(independent) < 0.1  # and noise of one's own too small


def test_without_noise_the_debiased_cosine_is_the_cosine():
    a, b = np.tile([3.0, 4.0], (5, 1)), np.tile([4.0, 3.0], (5, 1))
    assert bias.debiased_cosine(a, b) == (pytest.approx(24 / 25), pytest.approx(0, abs=1e-9))
    assert all(math.isnan(x) for x in bias.debiased_cosine(a[:2], b[:2]))
    assert math.isnan(bias.debiased_cosine(np.array([[1.0], [-1.0], [0.0]]), a[:3, :1])[0])


def test_the_whole_is_first_order_plus_implicit_part_plus_drift():
    """On the quadratic the direct part does not depend on w: no drift. On a bent one it does."""
    _, found = measured(range(4), {"first_order": FirstOrder()})
    assert found["reference_drift_skip"] == pytest.approx(0, abs=1e-12)
    assert found["first_order_implicit_skip_share"] == 0
    rng = np.random.default_rng(0)
    direction = np.eye(4)[1]
    now, direct, implicit = rng.normal(size=(3, 8, 4))
    exact = bias.Sample(direct + implicit, implicit, 0, 0, 0, 0)
    moved = bias.drift(now, exact, direction)
    own = bias._alone(exact, direction, 1.0)
    first = float(np.mean(-now @ direction))
    assert own["skip"] == pytest.approx(first + own["implicit_skip"] + moved["drift_skip"])
    values = -implicit[:, 1] / np.linalg.norm(direct + implicit, axis=1)
    assert own["implicit_skip_share"] == pytest.approx(values.mean())
    assert own["implicit_skip_share_se"] == pytest.approx(values.std(ddof=1) / 8**0.5)
    steps = -(direct - now)[:, 1]
    assert moved["drift_skip_se"] == pytest.approx(steps.std(ddof=1) / 8**0.5)


def test_null_directions_are_projected_out():
    alpha = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double()
    moved = alpha + torch.arange(6.0)[:, None]
    torch.testing.assert_close(projected({"alpha": moved}), projected({"alpha": alpha}))
    assert len(projected({"alpha": alpha, "beta": torch.ones(3)})) == 33
    toward = skip_direction(
        {"alpha": alpha, "beta": torch.ones(3)}, registry.parse("spaces", "nb201")
    )
    assert float(toward.norm()) == pytest.approx(1)
    assert not toward[30:].any()
    by_edge = toward[:30].reshape(6, 5)
    torch.testing.assert_close(by_edge.sum(1), torch.zeros(6).double())
    assert (by_edge.argmax(1) == 1).all()


def test_live_bytes_counts_what_is_alive():
    with LiveBytes() as live:
        a = torch.zeros(1000)
        for _ in range(10):
            a = a + 1
        view = a.view(10, 100)  # shares its storage
    assert (live.peak, live.now) == (8000, 4000)
    del a, view
    assert live.now == 0
    before = torch.zeros(1000, requires_grad=True)
    # Ten sines: nine results and the input are saved, the input was there before.
    assert peak_bytes(lambda: sines(before), CPU) == 40_000
    assert peak_bytes(lambda: before.view(10, 100), CPU) == 0


def sines(x):
    for _ in range(10):
        x = x.sin()
    return x


def started(settings, variants=()):
    setup = build(settings, [registry.parse("variants", v) for v in variants], 0)
    return setup, initial_state(setup)


def readings(entry, without=("_seconds",)):
    found = {k: v for k, v in entry.items() if k.startswith("bias_")}
    return {k: v for k, v in found.items() if not k.endswith(without)}


@pytest.mark.parametrize(
    "variants", [[], [{"name": "skip_dropout", "rate": 0.5, "schedule": "linear"}]]
)
def test_a_search_does_not_notice_it(small, variants):
    """State, buffers and random stream as before, also at the last epoch of a schedule."""
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}
    setup, state = started(small(instruments=[], space=space), variants)
    search(setup, state)
    instrument = registry.parse("instruments", SMALL)
    before, stream = copy.deepcopy(state.to_dict()), torch.get_rng_state()
    found = instrument.observe(setup, state)
    assert torch.equal(stream, torch.get_rng_state())
    torch.testing.assert_close(state.to_dict(), before, rtol=0, atol=0)
    assert all(w.grad is None or not w.grad.isnan().any() for w in state.supernet.parameters())
    again = instrument.observe(setup, state)
    assert readings(found) == pytest.approx(readings(again), rel=0, abs=0, nan_ok=True)
    assert found["bias_long_cosine"] == pytest.approx(1)
    assert found["bias_long_error"] == pytest.approx(0, abs=1e-6)
    assert found["bias_first_order_implicit_error"] == 1
    assert 0 < found["bias_first_order_megabytes"] < found["bias_long_megabytes"]
    assert found["bias_reference_variance"] > 0  # the sequences are not one and the same


def test_its_readings_land_in_the_history_under_their_names(small):
    setup, state = started(small(instruments=[SMALL]))
    search(setup, state)
    assert not readings(state.history[0]) and readings(state.history[1])
    names = {"bias_" + name for name in bias.quantities(["first_order", "long"])}
    assert set(readings(state.history[1], without=("?",))) == names
    setup, state = started(small(instruments=[SMALL]), ["uniform_sampling"])
    search(setup, state)
    assert set(readings(state.history[1], without=("?",))) == names
    assert all(math.isnan(value) for value in readings(state.history[1]).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": "neumann"}, "without truncation"),
        ({"reference": {"name": "reverse", "T": 100, "K": 10}}, "without truncation"),
        ({"estimators": {"reference": "first_order"}}, "own label"),
        ({"estimators": {"x": "first_ordre"}}, "did you mean 'first_order'"),
    ],
)
def test_what_it_refuses(change, message):
    with pytest.raises(ValidationError, match=message):
        registry.parse("instruments", SMALL | change)


def test_its_defaults_are_what_the_question_asks_for():
    default = registry.parse("instruments", "hypergradient_bias")
    assert default.sequences >= 16 and default.reference.T >= 100 and default.every >= 10
    used = {member.name for member in default.estimators.values()}
    assert set(registry.names("hypergradients")) - used == {"forward"}
    assert registry.parse("instruments", registry.dump(default)) == default
