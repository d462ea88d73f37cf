"""Three stages with restarts: operations, depth, warm-up, learning rate."""

import math

import torch

from bench.search.composition import Composition
from tests.golden.harness import DARTS, NB201, at, searching

SOURCE = (
    "P-DARTS, train_search.py: num_to_keep 5, 3 (of 8), eps_no_archs 10 of 25 epochs, add_layers 0, 6, 12 on "
    "5 layers; a new network, optimisers and cosine in each stage"
)


def table(make):
    paper = make("paper")
    yield "operations after stages 1 and 2", paper.keep, (5, 3)
    yield "everything begins anew", paper.restart, True
    layers = DARTS.model_copy(update={"layers": 5})
    yield (
        "cells",
        [paper.grown(layers, e, 75).layers for e in (0, 24, 25, 49, 50, 74, 75)],
        [
            5,
            5,
            11,
            11,
            17,
            17,
            17,
        ],
    )
    learns = [e for e in range(75) if paper.updates_architecture(at(e, 75))]
    yield "α learns in", learns, [*range(10, 25), *range(35, 50), *range(60, 75)]
    composed = Composition([paper], DARTS)
    found = [math.cos(math.pi * composed.annealed(at(e, 75))) for e in (0, 24, 25, 37, 50, 74)]
    turns = [0, 24 / 25, 0, 12 / 25, 0, 24 / 25]
    yield "the cosine of each stage", found, [math.cos(math.pi * t) for t in turns]
    yield (
        "the last stage's operations",
        paper.candidates(NB201, at(60, 75, memory={"operation_shrinking": [[1, 3]] * 6})),
        [[1, 3]] * 6,
    )
    yield "it ranks operations", paper.ranks_operations, True
    scaled = make("nb201")
    yield (
        "scaled to five operations",
        (scaled.keep, scaled.restart, scaled.warmup, scaled.deeper),
        (
            (3, 2),
            True,
            0.4,
            (),
        ),
    )
    yield "by default so", make(), make("nb201")
    uneven = [e for e in range(20) if scaled.updates_architecture(at(e, 20))]
    # 7, 7 and 6 epochs, of which 2.8, 2.8 and 2.4 are warm-up.
    yield "20 epochs", uneven, [3, 4, 5, 6, 10, 11, 12, 13, 17, 18, 19]
    yield from shrinking(make)
    kept = Composition([make("nb201", restart=False)], NB201)
    yield "without restarts one cosine", kept.annealed(at(40, 75)), 40 / 75


def shrinking(make):
    """After which epoch who is left, and what begins anew."""
    alpha = torch.tensor([[0.1, 0.5, 0.3, 0.4, 0.2]] * 6)
    for restart in (True, False):
        variant = make("nb201", restart=restart)
        setup, state = searching(variant, epochs=9)
        left, fresh, rates, begun = [], [], [], [first(state)]
        for state.epoch in range(1, 10):
            state.architecture["alpha"].data.copy_(alpha)
            state.weight_optimizer.param_groups[0]["lr"] = 0.017
            before = state.supernet
            variant.after_epoch(setup, state)
            rows = state.memory.get(variant.name)
            left.append(rows and rows[5])
            fresh.append(
                state.supernet is not before
                and not torch.equal(state.architecture["alpha"].detach(), alpha)
                and not state.weight_optimizer.state
            )
            rates.append(state.weight_optimizer.param_groups[0]["lr"])
            begun.append(first(state))
        told = [None] * 2 + [[1, 2, 3]] * 3 + [[1, 3]] * 4
        yield f"restart {restart}: who is left after every epoch", left, told
        yield (
            f"restart {restart}: what begins anew",
            fresh,
            [restart and e in (2, 5) for e in range(9)],
        )
        yield f"restart {restart}: the rate waits for the next step", rates, [0.017] * 9
        yield f"restart {restart}: weights of their own", len(set(begun)), 3 if restart else 1


def first(state):
    """Return the sum of the first weights."""
    return next(iter(state.supernet.parameters())).sum().item()


INERT = {
    "max(1, length)": "a stage of no epochs",
}
EQUIVALENT = {
    "state.epoch >= epochs -> state.epoch > epochs": "at the end no further stage begins",
}
