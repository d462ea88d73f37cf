"""How far several feature maps are from being independent, from sums that batches add up to.

A feature map is a matrix [n, C] of n observations of C channels. With K maps of one edge, all
numbers here follow from n, the sum of each column and the products of all columns [K·C, K·C], so
that no output needs to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

FLOOR = 1e-12
"""Smallest eigenvalue, as a share of the largest, that rounding leaves any meaning."""
QUANTITIES = ("cka", "correlation", "condition", "condition_raw", "vif")


@dataclass
class Moments:
    """Sums over observations of K maps of C channels, in float64."""

    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(0))
    products: Tensor = field(default_factory=lambda: torch.zeros(0))

    def add(self, maps: Sequence[Tensor]) -> None:
        """Take in observations of the K maps, each [n, C]; in the same order every time."""
        columns = torch.cat([m.double() for m in maps], dim=1)
        if self.count == 0:
            size = columns.shape[1]
            self.total, self.products = torch.zeros(size).double(), torch.zeros(size, size).double()
        self.count += len(columns)
        self.total += columns.sum(0)
        self.products += columns.T @ columns


@dataclass(frozen=True)
class Collinearity:
    """What K maps have in common; NaN for a map that does not vary.

    Attributes
    ----------
    cka
        Linear CKA [K, K]: ‖XᵀY‖²/(‖XᵀX‖‖YᵀY‖), Frobenius norms, columns centred. Does not see
        rotations of channels nor scale.
    correlation
        Pearson's correlation [K, K] over all entries, each channel centred: of what the mixture
        adds up, channel by channel.
    condition
        Condition number of ``correlation``.
    condition_raw
        Condition number of the Gram matrix ⟨x_k, x_l⟩ [K, K], neither centred nor scaled: large
        also where outputs only differ in norm.
    vif
        Variance inflation 1/(1 − R²) of each map on the others [K].
    """

    cka: Tensor
    correlation: Tensor
    condition: float
    condition_raw: float
    vif: Tensor

    def summary(self) -> dict[str, float]:
        """Return a number each: means over pairs (of |correlation|) and over maps (of VIF)."""
        upper = torch.ones_like(self.cka).triu(1).bool()
        return {
            "cka": float(self.cka[upper].nanmean()),
            "correlation": float(self.correlation[upper].abs().nanmean()),
            "condition": self.condition,
            "condition_raw": self.condition_raw,
            "vif": float(self.vif.nanmean()),
        }


def collinearity(moments: Moments, maps: int) -> Collinearity:
    """Compare ``maps`` maps of equally many channels; conditions and VIF are at most 1/FLOOR."""
    centred = moments.products - torch.outer(moments.total, moments.total) / moments.count
    channels = len(centred) // maps
    # Rounding leaves a trace of variance in what is constant.
    trace = moments.products.diagonal().reshape(maps, channels).sum(1)
    blocks = centred.reshape(maps, channels, maps, channels).transpose(1, 2)
    inner = blocks.diagonal(dim1=2, dim2=3).sum(-1)
    lives = inner.diagonal() > FLOOR * trace
    similar = blocks.square().sum((2, 3))
    cka, correlation = (_scaled(matrix, lives) for matrix in (similar, inner))
    vif = torch.full((maps,), torch.nan, dtype=torch.float64)
    condition = float("nan")
    if lives.sum() > 1:
        # Of a correlation matrix R, 1 − R²_k is one over the k-th diagonal entry of R⁻¹.
        values, vectors = _eigen(correlation[lives][:, lives])
        vif[lives] = (vectors.square() / values).sum(1)
        condition = float(values[-1] / values[0])
    raw = moments.products.reshape(maps, channels, maps, channels)
    gram, present = raw.diagonal(dim1=1, dim2=3).sum(-1), trace > 0
    raw_condition = float("nan")
    if present.sum() > 1:
        values, _ = _eigen(gram[present][:, present])
        raw_condition = float(values[-1] / values[0])
    return Collinearity(cka, correlation, condition, raw_condition, vif)


def _scaled(matrix: Tensor, lives: Tensor) -> Tensor:
    """Divide a Gram matrix by its diagonal; NaN in the rows and columns that do not vary."""
    scale = torch.where(lives, matrix.diagonal(), torch.nan).sqrt()
    return matrix / torch.outer(scale, scale)


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrix)
    return values.clamp_min(float(values[-1]) * FLOOR), vectors
