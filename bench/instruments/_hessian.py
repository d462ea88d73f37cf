"""Second derivatives of a loss in the architecture parameters: exact products, never differences.

On a ReLU network a finite difference of the gradient counts the kinks that lie between its two
points; in float32 even the sign of an eigenvalue comes out wrong. Here the gradient is
differentiated once more. Nothing in this file knows of supernets: a loss is a function of α alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]
"""α (any shape, A entries) → scalar."""


class Products:
    """Hessian-vector products of one loss at one α.

    The gradient's graph is built once (about 1 F; held as long as this object lives) and
    walked backwards once per vector (about 2 F). Weights that the loss closes over are best
    detached: nothing is differentiated in them.
    """

    def __init__(self, loss: Loss, alpha: Tensor) -> None:
        self.alpha = alpha.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = loss(self.alpha)
            self.gradient = torch.zeros_like(self.alpha)
            if value.requires_grad:
                (self.gradient,) = torch.autograd.grad(
                    value, self.alpha, create_graph=True, materialize_grads=True
                )

    def __call__(self, vectors: Tensor, at_once: int = 1) -> Tensor:
        """Multiply.

        Parameters
        ----------
        vectors
            As rows [K, A].
        at_once
            Vectors that share a walk, in so many times the memory. Pays where single operations
            are too small to fill the processor.

        Returns
        -------
        Tensor
            H·vector as rows [K, A], in float64 on the CPU.
        """
        if not self.gradient.requires_grad:  # the loss is linear in α, or does not see it
            return torch.zeros(vectors.shape, dtype=torch.float64)
        shaped = vectors.to(self.alpha).view(-1, *self.alpha.shape)
        walked = [self._walk(shaped[i : i + at_once]) for i in range(0, len(shaped), at_once)]
        return torch.cat(walked).reshape(vectors.shape).double().cpu()

    def _walk(self, vectors: Tensor) -> Tensor:
        several = len(vectors) > 1
        (rows,) = torch.autograd.grad(
            self.gradient,
            self.alpha,
            vectors if several else vectors[0],
            retain_graph=True,
            materialize_grads=True,
            is_grads_batched=several,
        )
        return rows if several else rows[None]


def matrix(loss: Loss, alpha: Tensor, at_once: int = 1) -> Tensor:
    """Return the whole Hessian [A, A] in float64, its rounding errors made symmetric."""
    rows = Products(loss, alpha)(torch.eye(alpha.numel(), dtype=torch.float64), at_once)
    return (rows + rows.T) / 2


@dataclass(frozen=True)
class Eigenpair:
    """An eigenvalue of the mean of several Hessians.

    Attributes
    ----------
    value, vector
        λ and its unit vector v [A].
    shares
        vᵀH_b v of every Hessian [B]: their mean is λ, and their deviation says how far λ depends
        on the batch (to first order a change of H moves λ by vᵀ ΔH v).
    products
        Hessian-vector products that it took, per Hessian.
    """

    value: float
    vector: Tensor
    shares: Tensor
    products: int

    @property
    def spread(self) -> float:
        """Standard deviation of the shares; NaN for a single one."""
        return float(self.shares.std()) if len(self.shares) > 1 else float("nan")


def eigenpairs(hessians: Tensor) -> list[Eigenpair]:
    """Return all eigenpairs of the mean of Hessians [B, A, A], the smallest eigenvalue first."""
    values, vectors = torch.linalg.eigh(hessians.mean(0))
    shares = torch.einsum("ik,bij,jk->kb", vectors, hessians, vectors)
    pairs = zip(values.tolist(), vectors.T, shares, strict=True)
    return [Eigenpair(*pair, products=len(values)) for pair in pairs]


def largest(losses: Sequence[Loss], alpha: Tensor, start: Tensor, tolerance: float) -> Eigenpair:
    """Return the largest eigenvalue of the mean Hessian by Lanczos, without the matrix.

    With full reorthogonalisation, so that after A products at the latest it is exact. The graphs
    of all losses are held meanwhile.

    Parameters
    ----------
    start
        Any vector [A] that is not orthogonal to the wanted one: a random one.
    tolerance
        Ends when ‖Hv − λv‖ is at most this share of the largest |eigenvalue| met. The error of λ
        is of the order of its square.
    """
    graphs = [Products(loss, alpha) for loss in losses]
    basis = (start / start.norm()).double().cpu()[None]
    images = torch.empty(0, len(graphs), basis.shape[1], dtype=torch.float64)  # H_b of the basis
    while True:
        new = torch.cat([graph(basis[-1:]) for graph in graphs])
        images = torch.cat([images, new[None]])
        mean = images.mean(1)
        projected = basis @ mean.T
        values, vectors = torch.linalg.eigh((projected + projected.T) / 2)
        value, weights = float(values[-1]), vectors[:, -1]
        vector = weights @ basis
        residual = float((weights @ mean - value * vector).norm())
        fresh = mean[-1]
        for _ in range(2):  # twice is enough
            fresh = fresh - basis.T @ (basis @ fresh)
        scale = float(values.abs().max())
        exhausted = len(basis) == basis.shape[1] or float(fresh.norm()) <= 1e-12 * scale
        if residual <= tolerance * scale or exhausted:
            shares = torch.einsum("k,kba,a->b", weights, images, vector)
            return Eigenpair(value, vector, shares, len(basis))
        basis = torch.cat([basis, (fresh / fresh.norm())[None]])
