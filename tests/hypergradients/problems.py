"""Bilevel problems whose hypergradient is known: quadratic, ridge, logistic; and a small supernet.

All in float64. Weights and architecture are split over several tensors on purpose, so that an
estimator which mixes up names or orders fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.contracts.hypergradient import Estimate, InnerStep, Problem, Tensors


def flat(tensors: Tensors) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])


def leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


def total(estimate: Estimate) -> Tensor:
    return flat(estimate.total)


def close(found: Tensor, expected: Tensor, rtol: float = 1e-10) -> None:
    """Relative error in norm, over the norm of what is expected."""
    error = float(torch.linalg.vector_norm(found - expected))
    scale = float(torch.linalg.vector_norm(expected))
    assert error <= rtol * scale, f"relative error {error / scale:.3e}, allowed {rtol:.0e}"


@dataclass
class Quadratic:
    """g = ½wᵀHw − wᵀ(Bλ + c) with a batch (H, B, c); f = ½‖w − t‖² + ½‖Mλ‖² with a batch (M, t)."""

    problem: Problem
    batches: list[tuple[Tensor, Tensor, Tensor]]
    M: Tensor
    t: Tensor

    @property
    def valid(self) -> tuple[Tensor, Tensor]:
        return self.M, self.t

    @property
    def w(self) -> Tensor:
        return flat(self.problem.weights).detach()

    @property
    def m(self) -> Tensor:
        buffers = self.problem.momentum
        return flat(
            {n: buffers.get(n, torch.zeros_like(w)) for n, w in self.problem.weights.items()}
        ).detach()

    @property
    def direct(self) -> Tensor:
        return self.M.T @ self.M @ flat(self.problem.architecture).detach()

    def force(self, i: int) -> Tensor:
        """Bλ + c of batch i."""
        _, B, c = self.batches[i]
        return B @ flat(self.problem.architecture).detach() + c

    def exact(self) -> Tensor:
        """∇F at the minimum of batch 0, weight decay included in H."""
        H = self.batches[0][0] + self.problem.inner.weight_decay * torch.eye(6).double()
        w_star = torch.linalg.solve(H, self.force(0))
        return self.direct + self.batches[0][1].T @ torch.linalg.solve(H, w_star - self.t)


EIGENVALUES = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)


def quadratic(
    inner: InnerStep,
    batches: int = 1,
    *,
    at_minimum: bool = False,
    same: bool = False,
    eigenvalues: Tensor = EIGENVALUES,
    seed: int = 0,
) -> Quadratic:
    """P = 6 weights, A = 4 parameters; every batch has a curvature of its own unless ``same``."""
    g = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    made = []
    for i in range(batches):
        if i and same:
            made.append(made[0])
            continue
        Q = torch.linalg.qr(randn(6, 6))[0]
        made.append((Q @ torch.diag(eigenvalues) @ Q.T, randn(6, 4), randn(6)))
    M, t, lam, w, m = randn(4, 4), randn(6), randn(4), randn(6), randn(6)
    if at_minimum:
        H, B, c = made[0]
        w = torch.linalg.solve(H + inner.weight_decay * torch.eye(6).double(), B @ lam + c)

    def train_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        H, B, c = batch
        w, lam = flat(weights), flat(architecture)
        return 0.5 * w @ H @ w - w @ (B @ lam + c)

    def valid_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        M, t = batch
        w, lam = flat(weights), flat(architecture)
        return 0.5 * torch.sum((w - t) ** 2) + 0.5 * torch.sum((M @ lam) ** 2)

    problem = Problem(
        weights={"u": leaf(w[:4]), "v": leaf(w[4:])},
        architecture={"normal": leaf(lam[:3]), "reduce": leaf(lam[3:])},
        train_loss=train_loss,
        valid_loss=valid_loss,
        inner=inner,
        momentum={"u": m[:4].clone(), "v": m[4:].clone()} if inner.momentum else {},
    )
    return Quadratic(problem, made, M, t)


@dataclass
class Regression:
    """A regression with per-feature regularisation e^λ, at its minimum, and its hypergradient."""

    problem: Problem
    train: Any
    valid: Any
    exact: Tensor
    S: Tensor


def regression(*, logistic: bool, lr: float = 0.3, seed: int = 0) -> Regression:
    """Ridge: S = XᵀX/N + diag(e^λ); logistic: Newton to ‖grad‖ < 1e-12. SCIENCE's closed forms."""
    g = torch.Generator().manual_seed(seed)
    N, D = 40, 5

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    X, X_v, truth, lam = randn(N, D), randn(N, D), randn(D), 0.3 * randn(D) - 1.0
    y, y_v = X @ truth + 0.5 * randn(N), X_v @ truth + 0.5 * randn(N)
    if logistic:
        y, y_v = (y > 0).double(), (y_v > 0).double()
    penalty = torch.diag(lam.exp())

    def data_loss(w: Tensor, batch: Any) -> Tensor:
        inputs, targets = batch
        z = inputs @ w
        if logistic:
            return F.binary_cross_entropy_with_logits(z, targets)
        return 0.5 * torch.mean((z - targets) ** 2)

    def train_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        w = flat(weights)
        return data_loss(w, batch) + 0.5 * torch.sum(flat(architecture).exp() * w * w)

    def valid_loss(weights: Tensors, architecture: Tensors, batch: Any) -> Tensor:
        return data_loss(flat(weights), batch)  # λ does not appear: the direct part is zero

    w = torch.zeros(D, dtype=torch.float64)
    for _ in range(50):
        s = torch.sigmoid(X @ w) if logistic else X @ w
        bend = s * (1 - s) if logistic else torch.ones_like(s)
        S = X.T @ (bend[:, None] * X) / N + penalty
        slope = X.T @ (s - y) / N + penalty @ w
        if float(slope.norm()) < 1e-14:
            break
        w = w - torch.linalg.solve(S, slope)
    assert float(slope.norm()) < 1e-12
    s_v = torch.sigmoid(X_v @ w) if logistic else X_v @ w
    exact = -lam.exp() * w * torch.linalg.solve(S, X_v.T @ (s_v - y_v) / N)
    problem = Problem(
        weights={"head": leaf(w[:2]), "tail": leaf(w[2:])},
        architecture={"normal": leaf(lam)},
        train_loss=train_loss,
        valid_loss=valid_loss,
        inner=InnerStep(lr=lr),
    )
    return Regression(problem, (X, y), (X_v, y_v), exact, S)


def network(inner: InnerStep, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Problem:
    """A smooth supernet: convolutions, batch-statistics BN, softplus, two architecture tensors.

    ``idle`` is a weight that no loss reaches, ``dead`` one whose gradient is exactly zero, and
    ``unused`` an architecture tensor without influence.
    """
    g = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return leaf(torch.randn(shape, generator=g, dtype=torch.float64).to(dtype))

    weights = {
        "stem": randn(2, 1, 3, 3),
        "conv": randn(2, 2, 3, 3),
        "idle": randn(3),
        "point": randn(2, 2, 1, 1),
        "dead": randn(2),
        "head.weight": randn(3, 2),
        "head.bias": randn(3),
    }
    architecture = {"normal": randn(2, 3), "unused": randn(2), "reduce": randn(1, 2)}
    momentum = {n: w.detach().flip(0).clone() for n, w in weights.items() if n != "conv"}

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    def logits(w: Tensors, a: Tensors, x: Tensor) -> Tensor:
        x = norm(F.conv2d(x, w["stem"], padding=1))
        for row in F.softmax(a["normal"], dim=-1):
            conv = norm(F.conv2d(F.softplus(x), w["conv"], padding=1))
            x = row[0] * x + row[1] * conv + row[2] * F.avg_pool2d(x, 3, 1, 1)
        mix = F.softmax(a["reduce"], dim=-1)[0]
        x = mix[0] * x + mix[1] * F.conv2d(F.softplus(x), w["point"])
        return F.linear(F.softplus(x).mean((2, 3)), w["head.weight"], w["head.bias"])

    def loss(w: Tensors, a: Tensors, batch: Any) -> Tensor:
        images, labels = batch
        return F.cross_entropy(logits(w, a, images), labels) + 0.0 * w["dead"].sum()

    return Problem(weights, architecture, loss, loss, inner, momentum if inner.momentum else {})


def images(count: int, *, seed: int = 1, dtype: torch.dtype = torch.float64) -> list[Any]:
    """Batches for `network`: four 5 x 5 images of three classes each."""
    g = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn((4, 1, 5, 5), generator=g, dtype=torch.float64).to(dtype),
            torch.randint(3, (4,), generator=g),
        )
        for _ in range(count)
    ]
