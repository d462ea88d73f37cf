"""β·x on every edge, β from 1 to 0."""

import torch

from tests.golden.harness import at

SOURCE = "Chu et al. 2021, DARTS−, equation 5 (β = 1 − e/E), and its code's cosine decay"


def table(make):
    paper = make("paper")
    yield (
        "β at epochs 0, 10, 25, 50 of 50",
        [paper.strength(at(e)) for e in (0, 10, 25, 50)],
        [
            1.0,
            0.8,
            0.5,
            0.0,
        ],
    )
    yield "never below 0", paper.strength(at(60)), 0.0
    yield "by default as the paper", make().strength(at(0)), 1.0
    cosine = make(decay="cosine")
    yield "cosine", [cosine.strength(at(e, 60)) for e in (0, 20, 30, 60)], [1.0, 0.75, 0.5, 0.0]
    y, x = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)
    edge = paper.edge(y, x, None, {}, at(10))
    yield "edge: y + 0.8·x", edge.flatten().tolist(), [1 + 0.8 * 3.0] * 4
    first = paper.edge(y, x, None, {}, at(0))
    yield "edge in the first epoch: y + x", first.flatten().tolist(), [1 + 3.0] * 4
    last = paper.edge(y, x, None, {}, at(50))
    yield "edge in the end: y", last.flatten().tolist(), [1.0] * 4
    yield "it touches no operation: skip stays in the softmax", make.member.touches, ()
