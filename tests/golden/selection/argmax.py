"""The strongest operation of every edge."""

from types import SimpleNamespace

import torch

from tests.golden.harness import DARTS, NB201

SOURCE = (
    "DARTS, cnn/model_search.py (none left out); AutoDL-Projects, exps/algos/DARTS-V1.py (all five)"
)


def choose(rule, strength, space=NB201):
    setup = SimpleNamespace(space=space, strength=lambda state: strength)
    return rule.select(setup, None)


def table(make):
    strength = torch.full((6, 5), 0.1)
    strength[:, 0] = 0.5
    strength[torch.arange(6), torch.tensor([1, 2, 3, 4, 1, 2])] = 0.3
    yield "nas-bench-201: none may win", choose(make("nas-bench-201"), strength), (0,) * 6
    yield "by default too", choose(make(), strength), (0,) * 6
    yield "darts: none never wins", choose(make("darts"), strength), (1, 2, 3, 4, 1, 2)
    yield "the first of equals", choose(make("darts"), torch.ones(6, 5)), (1,) * 6
    cell = torch.zeros(28, 8)
    cell[:, 0] = 0.9  # none
    cell[:, 4] = torch.tensor([*range(1, 15), *range(14, 0, -1)]) / 100
    yield (
        "darts space: two edges of a node",
        choose(make(), cell, DARTS),
        (
            4,
            4,
            -1,
            4,
            4,
            -1,
            -1,
            4,
            4,
            -1,
            -1,
            -1,
            4,
            4,
            4,
            4,
            4,
            4,
            -1,
            4,
            4,
            -1,
            -1,
            4,
            4,
            -1,
            -1,
            -1,
        ),
    )
