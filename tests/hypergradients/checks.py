"""One known-answer check per estimator; each takes the class, so that a mutant can be checked too.

Closed forms: SCIENCE §4, with weight decay wd taken into the curvature (H̃ = H + wd·I), which is
where the inner map's fixed point has it. Tolerance: relative 1e-10 in float64 unless said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.contracts.hypergradient import InnerStep

from .brute import unrolled_gradient
from .problems import Quadratic, close, flat, quadratic, regression, total

EYE = torch.eye(6, dtype=torch.float64)
PLAIN = InnerStep(lr=0.3)
HEAVY = InnerStep(lr=0.2, momentum=0.7, weight_decay=0.05)
FULL = InnerStep(lr=0.2, momentum=0.7, nesterov=True, weight_decay=0.05, clip=0.5)


def simulate(q: Quadratic, steps: int, kept: int) -> tuple[Tensor, Tensor]:
    """w_T and dw_T/dλ by the companion matrix on (w, m), over the last ``kept`` steps."""
    inner = q.problem.inner
    lr, mu, wd = inner.lr, inner.momentum, inner.weight_decay
    s, Z = torch.cat([q.w, q.m]), torch.zeros(12, 4, dtype=torch.float64)
    for i in range(steps):
        H, B, _ = q.batches[i]
        A = torch.cat(
            [
                torch.cat([(1 - lr * wd) * EYE - lr * H, -lr * mu * EYE], 1),
                torch.cat([H + wd * EYE, mu * EYE], 1),
            ]
        )
        G = torch.cat([lr * EYE, -EYE])
        s = A @ s + G @ q.force(i)
        if i >= steps - kept:
            Z = A @ Z + G @ B
    return s[:6], Z[:6]


def first_order(cls: type[Any]) -> None:
    """Its error is exactly the implicit part: BᵀH⁻¹(w* − t) at the minimum."""
    q = quadratic(PLAIN, at_minimum=True)
    H, B, _ = q.batches[0]
    estimate = cls().estimate(q.problem, [], q.valid)
    close(q.exact() - total(estimate), B.T @ torch.linalg.solve(H, q.w - q.t))
    assert not estimate.implicit


def one_step(cls: type[Any], **fields: Any) -> None:
    """ηBᵀ(w′ − t) with momentum and weight decay in w′, without clipping and Nesterov."""
    for inner in (PLAIN, HEAVY, FULL):
        q = quadratic(inner)
        H, B, _ = q.batches[0]
        velocity = inner.momentum * q.m + H @ q.w - q.force(0) + inner.weight_decay * q.w
        ahead = q.w - inner.lr * velocity
        estimate = cls(**fields).estimate(q.problem, q.batches, q.valid)
        close(flat(estimate.direct), q.direct)
        close(flat(estimate.implicit), inner.lr * B.T @ (ahead - q.t))


def darts_second_order(cls: type[Any]) -> None:
    """∂_λL_train is linear in w here, so that the finite difference is exact up to rounding."""
    one_step(cls)
    one_step(cls, epsilon=0.1)
    unrestored(cls)


def unrolled(cls: type[Any], truncates: bool) -> None:
    """Companion matrix, the SCIENCE closed form, and brute force where clipping is on."""
    steps = 5
    for inner in (PLAIN, HEAVY):
        for kept in (1, 2, 4, 5) if truncates else (5,):
            q = quadratic(inner, steps)
            w_T, Z = simulate(q, steps, kept)
            member = cls(T=steps, K=kept) if truncates else cls(T=steps)
            estimate = member.estimate(q.problem, q.batches, q.valid)
            close(flat(estimate.direct), q.direct)
            close(flat(estimate.implicit), Z.T @ (w_T - q.t))
    q = quadratic(PLAIN, steps, same=True)
    H, B, _ = q.batches[0]
    C, w_star = EYE - PLAIN.lr * H, torch.linalg.solve(H, q.force(0))
    power = torch.linalg.matrix_power(C, steps)
    w_T = power @ q.w + (EYE - power) @ w_star
    expected = q.direct + B.T @ torch.linalg.solve(H, (EYE - power) @ (w_T - q.t))
    close(total(cls(T=steps).estimate(q.problem, q.batches, q.valid)), expected)
    for inner in (FULL, InnerStep(lr=0.3, clip=1e9, weight_decay=0.1)):
        q = quadratic(inner, steps)
        expected = flat(unrolled_gradient(q.problem, q.batches, q.valid))
        close(total(cls(T=steps).estimate(q.problem, q.batches, q.valid)), expected)


def reverse(cls: type[Any]) -> None:
    unrolled(cls, truncates=True)
    for segment in (2, 3, 7):  # recomputation must not change a bit
        q = quadratic(FULL, 5)
        a = cls(T=5, K=4).estimate(q.problem, q.batches, q.valid)
        b = cls(T=5, K=4, segment=segment).estimate(q.problem, q.batches, q.valid)
        assert torch.equal(total(a), total(b))


def forward(cls: type[Any]) -> None:
    unrolled(cls, truncates=False)


def series(q: Quadratic, w: Tensor, batch: Any, K: int, a: float) -> Tensor:
    """BᵀH̃⁻¹(I − C^K)(w − t) with C = I − aH̃."""
    H, B, _ = batch
    bent = H + q.problem.inner.weight_decay * EYE
    power = torch.linalg.matrix_power(EYE - a * bent, K)
    return B.T @ torch.linalg.solve(bent, (EYE - power) @ (w - q.t))


def neumann(cls: type[Any]) -> None:
    for inner in (PLAIN, HEAVY):
        for K in (1, 2, 7):
            for a in (None, 0.15):
                q = quadratic(inner)
                estimate = cls(K=K, a=a).estimate(q.problem, q.batches, q.valid)
                close(flat(estimate.direct), q.direct)
                close(flat(estimate.implicit), series(q, q.w, q.batches[0], K, a or inner.lr))
                power = torch.linalg.matrix_power(
                    EYE - (a or inner.lr) * (q.batches[0][0] + inner.weight_decay * EYE), K
                )
                residual = float((power @ (q.w - q.t)).norm() / (q.w - q.t).norm())
                assert abs(estimate.flags["residual"] - residual) < 1e-12
                assert not estimate.flags["diverged"] and not estimate.flags["indefinite"]


def idarts(cls: type[Any]) -> None:
    """Every batch has its own curvature here: that of the last one must be used, at w_T."""
    for inner in (PLAIN, HEAVY):
        for K in (1, 3):
            q = quadratic(inner, 4)
            w_T, _ = simulate(q, 4, 4)
            estimate = cls(T=4, K=K).estimate(q.problem, q.batches, q.valid)
            close(flat(estimate.direct), q.direct)
            close(flat(estimate.implicit), series(q, w_T, q.batches[-1], K, inner.lr))


def conjugate_gradient(cls: type[Any]) -> None:
    """Exact at k = P; before that, the best point of the Krylov space in H's norm."""
    for inner in (PLAIN, HEAVY):
        q = quadratic(inner)
        H, B, _ = q.batches[0]
        bent, v = H + inner.weight_decay * EYE, q.w - q.t
        for k in (1, 2, 3, 6):
            krylov = torch.stack([torch.linalg.matrix_power(bent, j) @ v for j in range(k)], 1)
            best = krylov @ torch.linalg.solve(krylov.T @ bent @ krylov, krylov.T @ v)
            estimate = cls(k=k).estimate(q.problem, q.batches, q.valid)
            close(flat(estimate.implicit), B.T @ best)
            assert estimate.flags["iterations"] == k
        close(flat(estimate.implicit), B.T @ torch.linalg.solve(bent, v))
        assert estimate.flags["residual"] < 1e-10 and not estimate.flags["indefinite"]
        damped = cls(k=6, damping=0.3).estimate(q.problem, q.batches, q.valid)
        close(flat(damped.implicit), B.T @ torch.linalg.solve(bent + 0.3 * EYE, v))


def stn(cls: type[Any]) -> None:
    """n whole sweeps of the A directions are n descents: Neumann's value with K = n, a = lr."""
    for inner in (PLAIN, HEAVY):
        for sweeps, lr in ((1, None), (3, 0.15)):
            q = quadratic(inner, 2 * sweeps, same=True)
            member = cls(T=2 * sweeps, pairs=2, lr=lr)
            estimate = member.estimate(q.problem, q.batches, q.valid)
            expected = series(q, q.w, q.batches[0], sweeps, lr or inner.lr)
            close(flat(estimate.direct), q.direct)
            close(flat(estimate.implicit), expected)
            assert estimate.flags["coverage"] == 1.0


def implicit_regression(cls: type[Any], rtol: float = 1e-10, **fields: Any) -> None:
    """Ridge and logistic regression at their minimum."""
    for logistic in (False, True):
        r = regression(logistic=logistic)
        member = cls(**fields)
        estimate = member.estimate(r.problem, [r.train] * member.horizon, r.valid)
        close(total(estimate), r.exact, rtol)
        assert float(flat(estimate.direct).abs().max()) == 0.0


def unrestored(cls: type[Any]) -> None:
    """The weights are afterwards what they were, bit for bit."""
    q = quadratic(HEAVY)
    before = q.w.clone()
    cls().estimate(q.problem, q.batches, q.valid)
    assert torch.equal(before, q.w)


CHECKS: dict[str, Callable[[type[Any]], None]] = {
    "first_order": first_order,
    "darts_second_order": darts_second_order,
    "one_step_exact": one_step,
    "reverse": reverse,
    "forward": forward,
    "neumann": neumann,
    "conjugate_gradient": conjugate_gradient,
    "stn": stn,
    "idarts": idarts,
}
