"""Many paths evaluated together score like each on its own."""

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.space import Supernet
from bench.spaces.nb201 import cells, fused, native


@pytest.mark.parametrize(("affine", "n"), [(False, 1), (False, 2), (True, 1)])
def test_shared_paths_equal_one_forward_each(affine, n):
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": n, "affine": affine})
    supernet = space.supernet(3, 10, seed=0).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=generator)
    sample = [tuple(row) for row in torch.randint(5, (150, 6), generator=generator).tolist()]
    sample += [(0,) * 6, (1,) * 6, (3,) * 6, (0, 3, 3, 3, 0, 3), (3, 0, 0, 0, 3, 0)]
    with torch.no_grad():
        found = dict(supernet.paths(images, sample))
        slow = dict(Supernet.paths(supernet, images, sample[:20]))
        for i, cell in enumerate(sample):
            one_hot = F.one_hot(torch.tensor(cell), 5).double()
            torch.testing.assert_close(found[i], supernet(images, one_hot), rtol=1e-9, atol=1e-9)
        for i, value in slow.items():
            torch.testing.assert_close(found[i], value, rtol=1e-9, atol=1e-9)
    assert len(found) == len(sample)


@pytest.mark.skipif(not fused.available(), reason="needs a C++ compiler")
def test_paths_by_the_kernel_equal_pytorchs(monkeypatch):
    """As ranking runs them, with statistics of the whole batch or of its first images."""
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
    supernet, calls, call = space.supernet(3, 10, seed=0).double(), [], native.call
    monkeypatch.setattr(native, "call", lambda *a: (calls.append(a[0]), call(*a)))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=generator)
    sample = [tuple(row) for row in torch.randint(5, (150, 6), generator=generator).tolist()]
    sample += [(0,) * 6, (1,) * 6, (3,) * 6, (0, 3, 3, 3, 0, 3), (3, 0, 0, 0, 3, 0)]
    for rows in (5, 3):
        found = []
        for supernet.compiled in (True, False):
            with torch.no_grad(), supernet.statistics_from(rows):
                found.append(dict(supernet.paths(images, sample)))
            assert bool(calls) == supernet.compiled
            calls.clear()
        for i in range(len(sample)):
            torch.testing.assert_close(found[0][i], found[1][i], rtol=1e-9, atol=1e-9)


def test_isomorphic_cells_score_the_same():
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
    supernet = space.supernet(1, 10, seed=0).double()
    images = torch.randn(
        4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    dead_end = cells.decode("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    plain = cells.decode("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    with torch.no_grad():
        scores = dict(supernet.paths(images, [dead_end, plain]))
    torch.testing.assert_close(scores[0], scores[1])
