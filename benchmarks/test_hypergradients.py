"""What every estimator costs on one supernet step, in time and memory, beside what it should.

``pytest benchmarks/test_hypergradients.py -s`` prints the tables of ``docs/hypergradients.md``,
at C=8, N=1, 32x32, batches of 64, one thread. Times are CPU seconds, beside a first-order estimate
made right before it, so that a busy machine slows both. Images are CIFAR-10 from
``data/cifar10-jpeg`` where that folder is, scikit-learn's digits otherwise; costs do not depend on
them.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
import torch

from bench.contracts import registry
from bench.hypergradients._autodiff import add, leaves, norm
from bench.hypergradients._curvature import Curvature
from bench.hypergradients._inner import step_gradient
from bench.instruments._memory import peak_bytes
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state

ROOT = Path("data/cifar10-jpeg")
CPU = torch.device("cpu")

# name, parameters, and the cost by its docstring: so many F and so many HVP. F is a forward and
# backward pass with all gradients; the validation gradient counts as one.
ESTIMATORS = [
    ("first_order", {}, 1, 0),
    ("darts_second_order", {}, 4, 0),
    ("one_step_exact", {}, 2, 1),
    ("reverse", {"T": 1}, 3, 1),
    ("reverse", {"T": 10}, 21, 10),
    ("reverse", {"T": 10, "K": 1}, 12, 1),
    ("forward", {"T": 1}, 2, 30),
    ("neumann", {"K": 1}, 2, 2),
    ("neumann", {"K": 10}, 2, 11),
    ("conjugate_gradient", {"k": 5, "damping": 10.0}, 2, 6),
    ("idarts", {"T": 5, "K": 3}, 7, 4),
    ("stn", {"T": 5, "pairs": 6}, 61, 0),
]
SLACK = 1.5
"""How much dearer than its F and HVP, as measured here, an estimator may be."""


def started(batch=64, epochs=0, **search_settings):
    """Return a problem at the start of a search (or after some epochs), and its batches."""
    data = {"name": "digits", "resolution": 32, "size": 1024}
    if ROOT.is_dir():
        data = {"name": "image_folder", "root": str(ROOT), "size": 1024}
    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 8, "cells": 1},
            "data": data,
            "search": {"epochs": max(1, epochs), "batch": batch, **search_settings},
            "device": "cpu",
            "kernel": "torch",  # first-order is the unit: on the path that all estimators share
            "instruments": [],
            "ranking": None,
        }
    )
    torch.set_num_threads(1)
    setup = build(settings, [], seed=0)
    state = initial_state(setup)
    if epochs:
        search(setup, state)
    train = [setup.batch("train", state.step + i) for i in range(50)]
    return setup.problem(state), train, setup.batch("valid", state.step)


@pytest.fixture(scope="module")
def case():
    return started()


def make(name, parameters):
    return registry.parse("hypergradients", {"name": name, **parameters})


def seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.fixture(scope="module")
def units(case):
    """Measure F and HVP in units of first-order, which asks for no weight gradients."""
    problem, train, valid = case
    first, curvature = make("first_order", {}), Curvature(problem, problem.weights, train[0])
    v = leaves(problem.weights)
    ratios = []
    for _ in range(5):
        base = seconds(lambda: first.estimate(problem, [], valid))
        full = seconds(lambda: step_gradient(problem, v, train[0]))
        ratios.append((full / base, seconds(lambda: curvature.hessian(v)) / base))
    F, HVP = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"\nin units of first-order: F {F:.2f}, HVP {HVP:.2f}")
    return F, HVP


@pytest.mark.parametrize(
    ("name", "parameters", "F", "HVP"), ESTIMATORS, ids=[f"{n}{p}" for n, p, *_ in ESTIMATORS]
)
def test_time(benchmark, case, units, name, parameters, F, HVP):
    problem, train, valid = case
    member, first = make(name, parameters), make("first_order", {})
    ratios = []

    def both():
        base = min(seconds(lambda: first.estimate(problem, [], valid)) for _ in range(3))
        own = seconds(lambda: member.estimate(problem, train[: member.horizon], valid))
        ratios.append(own / base)

    benchmark.pedantic(both, rounds=3 if F + HVP < 15 else 1)
    ratio, predicted = statistics.median(ratios), F * units[0] + HVP * units[1]
    benchmark.extra_info["times first-order"] = round(ratio, 1)
    said = ", ".join(f"{k}={v:g}" for k, v in parameters.items())
    formula = " + ".join(f"{n} {unit}" for n, unit in ((F, "F"), (HVP, "HVP")) if n)
    theory = f"{F + 2 * HVP}–{F + 3 * HVP}" if HVP else str(F)
    print(f"\n| `{name}` | {said} | {formula} | {theory} | {predicted:.0f} | {ratio:.1f} |")
    assert ratio < SLACK * predicted


def test_memory_of_reverse_grows_by_the_state(benchmark):
    """By 2 P numbers per kept step (weights and momentum); with segments by their root."""
    problem, train, valid = started(batch=8)
    P = sum(weight.numel() for weight in problem.weights.values())

    def peak(**parameters):
        member = make("reverse", parameters)
        return peak_bytes(lambda: member.estimate(problem, train[: member.horizon], valid), CPU)

    peaks = {T: peak(T=T) for T in (1, 10, 20, 40)}
    peaks["40, K=10"] = peak(T=40, K=10)
    peaks["40, segment=6"] = peak(T=40, segment=6)
    benchmark.pedantic(lambda: peak(T=1), rounds=1)
    print(f"\nP = {P} weights; one state with momentum {8 * P / 1e6:.2f} MB")
    for T, found in peaks.items():
        print(f"| reverse, T={T} | {found / 1e6:.1f} MB |")
    for low, high in ((10, 20), (20, 40)):
        assert (peaks[high] - peaks[low]) / (high - low) == pytest.approx(8 * P, rel=0.02)
    assert peaks["40, K=10"] == pytest.approx(peaks[10], rel=0.05)
    assert peaks["40, segment=6"] - peaks[10] < 8 * P * (7 + 6 - 10 + 1)


@pytest.mark.parametrize("epochs", [0, 4])
def test_finite_difference_on_the_supernet(benchmark, epochs):
    """On ReLU networks the published second-order term is not the mixed derivative."""
    problem, train, valid = started(epochs=epochs)
    exact = make("one_step_exact", {}).estimate(problem, train[:1], valid).implicit
    rows = []
    for epsilon in (0.1, 0.01, 0.001):
        found = make("darts_second_order", {"epsilon": epsilon}).estimate(problem, train[:1], valid)
        error = norm(add(found.implicit, exact, -1.0)) / norm(exact)
        cosine = float((found.implicit["alpha"] * exact["alpha"]).sum())
        cosine /= norm(found.implicit) * norm(exact)
        rows.append((epsilon, error, cosine))
    flags = make("conjugate_gradient", {}).estimate(problem, train[:1], valid).flags
    benchmark.pedantic(lambda: None, rounds=1)
    print(f"\nafter {epochs} epochs; undamped conjugate gradients: {flags}")
    for epsilon, error, cosine in rows:
        print(f"| {epochs} | {epsilon:g} | {error:.2f} | {cosine:+.2f} |")
    assert all(error > 0.05 for _, error, _ in rows)
