"""The truncated Neumann series for H⁻¹v, with its residual and a rigorous sign of divergence."""

from __future__ import annotations

import math

import torch

from bench.contracts.hypergradient import Tensors
from bench.hypergradients._autodiff import add, dot, norm, zeros
from bench.hypergradients._curvature import Curvature


def neumann_series(
    curvature: Curvature, v: Tensors, K: int, a: float
) -> tuple[Tensors, dict[str, float]]:
    """Return q = a Σ_{j<K} (I − aH)^j v, K summands, and its flags.

    Costs K Hessian products: K − 1 for the summands, one for the residual.

    Returns
    -------
    q
        The approximation of H⁻¹v.
    flags
        ``residual`` = ‖v − Hq‖/‖v‖ = ‖(I − aH)^K v‖/‖v‖, exact and for free.
        ``diverged`` when the last two powers' norms grow (or are not finite). For a symmetric H
        ‖(I − aH)^j v‖ is log-convex in j, so its ratio never falls and never exceeds the spectral
        radius: growth proves that the series diverges (a > 2/λ_max or a negative eigenvalue), and
        a divergence that K summands do not show yet is not flagged.
        ``indefinite`` when some power p had pᵀHp < 0.
    """
    term, total, size = v, zeros(v), norm(v)
    before = after = size
    indefinite = False
    for _ in range(K):
        total = add(total, term)
        product = curvature.hessian(term)
        indefinite |= dot(term, product) < 0.0
        term = add(term, product, -a)
        before, after = after, norm(term)
    slack = math.sqrt(max((torch.finfo(tensor.dtype).eps for tensor in v.values()), default=0.0))
    grows = not math.isfinite(after) or after > before * (1.0 + slack)
    flags = {
        "residual": after / size if size else 0.0,
        "diverged": float(grows),
        "indefinite": float(indefinite),
    }
    return {name: a * value for name, value in total.items()}, flags
