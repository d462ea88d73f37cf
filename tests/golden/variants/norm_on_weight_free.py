"""Batch norm after operations without weights."""

import torch

SOURCE = "DARTS, cnn/model_search.py (MixedOp: BatchNorm2d(C, affine=False) after pools, none after skips)"


def table(make):
    y = 3 + 5 * torch.randn(32, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def moments(variant, operation):
        out = make.hooks(variant).operation(y, cell=0, edge=0, operation=operation)
        return round(out.mean().item(), 3) + 0.0, round(out.std(unbiased=False).item(), 2)

    plain = (round(y.mean().item(), 3), round(y.std(unbiased=False).item(), 2))
    yield "paper: pools are normalised", moments(make("paper"), 4), (0.0, 1.0)
    yield (
        "paper: max pools are named too",
        make("paper").operations,
        ("avg_pool_3x3", "max_pool_3x3"),
    )
    yield "paper: skips are not", moments(make("paper"), 1), plain
    yield "by default skips are", moments(make(), 1), (0.0, 1.0)
    yield "and pools", moments(make(), 4), (0.0, 1.0)
