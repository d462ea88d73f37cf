"""Dropout on identity skips, anew in each of three stages."""

import math

import torch

from bench.search.composition import Composition
from tests.golden.harness import DARTS, at

SOURCE = (
    "P-DARTS, train_search.py: p·(24 − e)/25 for the first 10 epochs of a stage, then p·exp(−0.2·(e − 10)); "
    "model_search.py (dropout after Identity only); rates 0.0, 0.4, 0.7 (paper), 0.1, 0.4, 0.7 (README)"
)


def stage(rate):
    early = [rate * (25 - e - 1) / 25 for e in range(10)]
    return early + [rate * math.exp(-0.2 * (e - 10)) for e in range(10, 25)]


def table(make):
    for name, rates in (("paper", (0.0, 0.4, 0.7)), ("code", (0.1, 0.4, 0.7))):
        variant = make(name)
        found = [variant.probability(at(e, 75)) for e in range(75)]
        yield f"{name}: p of 75 epochs", found, [p for rate in rates for p in stage(rate)]
    one = make(rate=0.4, schedule="pdarts")
    yield "one stage of 25", [one.probability(at(e, 25)) for e in range(25)], stage(0.4)
    # Ten epochs keep the shape: four by the line, then exp(−5·(e − 4)/10).
    short = [0.4 * (9 - e) / 10 for e in range(4)] + [
        0.4 * math.exp(-(e - 4) / 2) for e in range(4, 10)
    ]
    yield "the shape at 10 epochs", [one.probability(at(e, 10)) for e in range(10)], short
    yield "constant, by default 0.3", [make().probability(at(e, 25)) for e in (0, 24)], [0.3, 0.3]
    linear = make(rate=0.6, schedule="linear")
    yield "linear", [linear.probability(at(e, 20)) for e in (0, 10, 19)], [0.57, 0.27, 0.0]
    variant, y = make(rate=0.4), torch.ones(64, 4, 16, 16)
    hooks = Composition([variant], DARTS).hooks({}, at())
    skip = DARTS.operations.index("skip_connect")
    for cell, edges, touched in (
        ("normal", (0, 1, 2, 13), True),
        ("reduction", (16, 18, 27), True),
        ("reduction", (14, 15, 17, 20), False),
    ):
        # Edges 14, 15, … of the reduction cell that leave its two inputs have stride 2.
        for edge in edges:
            if cell == "reduction":
                touched = DARTS.edges[edge][0] - 6 >= 2
            out = hooks.operation(y, cell=0, edge=edge, operation=skip)
            yield f"{cell} edge {edge}: {DARTS.edges[edge]}", bool((out == 0).any()), touched
    out = hooks.operation(y, cell=0, edge=0, operation=skip)
    yield (
        "elements, scaled by 1/(1 − p)",
        (
            round((out == 0).float().mean().item(), 2),
            out.max().item(),
        ),
        (0.4, 1 / 0.6),
    )
    measuring = Composition([variant], DARTS).hooks({}, at(phase="evaluate"))
    out = measuring.operation(y, cell=0, edge=0, operation=skip)
    yield "nothing is dropped while measuring", bool((out == y).all()), True
    yield "nothing else is touched", make.member.touches, ("skip_connect",)


EQUIVALENT = {"0 -> 1": "a mask that drops nothing is all ones"}
