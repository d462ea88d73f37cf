"""Predicted rates of convergence, and what must be flagged: divergence and indefinite curvature."""

from __future__ import annotations

import math

import pytest
import torch

from bench.contracts.hypergradient import InnerStep
from bench.hypergradients.conjugate_gradient import ConjugateGradient
from bench.hypergradients.forward import Forward
from bench.hypergradients.idarts import Idarts
from bench.hypergradients.neumann import Neumann
from bench.hypergradients.reverse import Reverse

from .problems import EIGENVALUES, close, flat, quadratic, regression, total

ETA = 0.4
CONTRACTION = 1 - ETA * float(EIGENVALUES[0])


def errors(kind: str, terms: list[int]) -> list[float]:
    """‖estimate − ∇F‖ at the minimum, for K summands or K kept steps."""
    found = []
    for K in terms:
        q = quadratic(InnerStep(lr=ETA), max(terms), at_minimum=True, same=True)
        if kind == "neumann":
            estimate = Neumann(K=K).estimate(q.problem, q.batches[:1], q.valid)
        else:
            estimate = Reverse(T=max(terms), K=K).estimate(q.problem, q.batches, q.valid)
        found.append(float((total(estimate) - q.exact()).norm()))
    return found


@pytest.mark.parametrize("kind", ["neumann", "reverse"])
def test_error_falls_as_predicted(kind: str) -> None:
    """Below ‖B‖‖H⁻¹‖(1−ηλ_min)^K‖w*−t‖ for every K; its ratio tends to 1−ηλ_min (to 1e-4)."""
    terms = [1, 2, 4, 8, 16, 32, 39, 40]
    q = quadratic(InnerStep(lr=ETA), at_minimum=True)
    H, B, _ = q.batches[0]
    bound = float(
        torch.linalg.matrix_norm(B, 2) * torch.linalg.matrix_norm(H.inverse(), 2)
    ) * float((q.w - q.t).norm())
    found = errors(kind, terms)
    for K, error in zip(terms, found, strict=True):
        assert error <= bound * CONTRACTION**K * (1 + 1e-9)
    assert abs(found[-1] / found[-2] - CONTRACTION) < 1e-4


def test_truncated_reverse_is_neumann_at_the_minimum() -> None:
    for K in (1, 3, 6):
        q = quadratic(InnerStep(lr=ETA), 6, at_minimum=True, same=True)
        reverse = Reverse(T=6, K=K).estimate(q.problem, q.batches, q.valid)
        neumann = Neumann(K=K).estimate(q.problem, q.batches[:1], q.valid)
        idarts = Idarts(T=6, K=K).estimate(q.problem, q.batches, q.valid)
        close(total(reverse), total(neumann))
        close(total(reverse), total(idarts))


def test_truncation_rate_on_ridge() -> None:
    """The same ratio on a problem with data, for truncated reverse: 1−ηλ_min(S), to 1e-3."""
    r = regression(logistic=False)
    rate = 1 - 0.3 * float(torch.linalg.eigvalsh(r.S)[0])
    found = []
    for K in (50, 51):
        estimate = Reverse(T=51, K=K).estimate(r.problem, [r.train] * 51, r.valid)
        found.append(float((total(estimate) - r.exact).norm()))
    assert abs(found[1] / found[0] - rate) < 1e-3


def test_conjugate_gradient_needs_as_many_steps_as_there_are_eigenvalues() -> None:
    """Two distinct eigenvalues: exact after two steps, and it stops by itself."""
    two = torch.tensor([0.5, 0.5, 0.5, 2.0, 2.0, 2.0], dtype=torch.float64)
    q = quadratic(InnerStep(lr=0.1), at_minimum=True, eigenvalues=two)
    estimate = ConjugateGradient(k=6).estimate(q.problem, q.batches, q.valid)
    close(total(estimate), q.exact())
    assert estimate.flags["iterations"] == 2


@pytest.mark.parametrize(("factor", "diverges"), [(0.98, 0.0), (1.02, 1.0)])
def test_divergence_is_flagged_beyond_the_stable_step(factor: float, diverges: float) -> None:
    """On both sides of η = 2/λ_max, by every estimator that has a series or a horizon to see it."""
    eta = factor * 2.0 / float(EIGENVALUES[-1])
    q = quadratic(InnerStep(lr=eta), 100, same=True)
    neumann = Neumann(K=100).estimate(q.problem, q.batches[:1], q.valid)
    idarts = Idarts(T=1, K=100).estimate(q.problem, q.batches[:1], q.valid)
    reverse = Reverse(T=100).estimate(q.problem, q.batches, q.valid)
    assert neumann.flags["diverged"] == idarts.flags["diverged"] == diverges
    assert (reverse.flags["adjoint_growth"] > 1) == bool(diverges)
    assert (neumann.flags["residual"] > 1) == bool(diverges)


def test_a_diverged_trajectory_is_flagged() -> None:
    """Not finite: said, not raised."""
    q = quadratic(InnerStep(lr=1e4), 100, same=True)
    for member in (Reverse(T=100), Forward(T=100), Idarts(T=100)):
        estimate = member.estimate(q.problem, q.batches, q.valid)
        assert estimate.flags["diverged"] == 1.0
        assert not math.isfinite(float(flat(estimate.total).norm()))


@pytest.mark.parametrize(("lowest", "indefinite"), [(-0.3, 1.0), (0.3, 0.0)])
def test_indefinite_curvature_is_flagged(lowest: float, indefinite: float) -> None:
    bent = EIGENVALUES.clone()
    bent[0] = lowest
    q = quadratic(InnerStep(lr=0.3), eigenvalues=bent)
    estimate = ConjugateGradient(k=6).estimate(q.problem, q.batches, q.valid)
    series = Neumann(K=60).estimate(q.problem, q.batches, q.valid)
    assert estimate.flags["indefinite"] == series.flags["indefinite"] == indefinite
    assert series.flags["diverged"] == indefinite


def test_weight_decay_can_make_the_curvature_definite() -> None:
    """H of the flags is that of the regularised inner problem."""
    bent = EIGENVALUES.clone()
    bent[0] = -0.3
    q = quadratic(InnerStep(lr=0.3, weight_decay=0.4), eigenvalues=bent)
    estimate = ConjugateGradient(k=6).estimate(q.problem, q.batches, q.valid)
    assert estimate.flags["indefinite"] == 0.0
    assert estimate.flags["residual"] < 1e-9
