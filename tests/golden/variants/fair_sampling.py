"""Every operation once in a step, in an order drawn for every edge."""

import torch

from tests.golden.harness import NB201, at

SOURCE = (
    "Chu et al. 2021, FairNAS, algorithm 1: m single paths without replacement, gradients added up"
)


def table(make):
    variant = make()
    yield "passes of a step", variant.passes(NB201), 5
    alpha = {"alpha": torch.zeros(6, 5)}
    parts = [variant.mixture(torch.zeros(6, 5), alpha, at(part=p)) for p in range(5)]
    yield "every operation of every edge once", sum(parts).tolist(), [[1.0] * 5] * 6
    yield "one operation of an edge in each", [p.sum(-1).tolist() for p in parts], [[1.0] * 6] * 5
    firsts = {tuple(variant.path(6, 5, at(step=s)).tolist()) for s in range(20)}
    yield "another order at every step", len(firsts), 20
    yield (
        "α is not learned",
        [variant.updates_architecture(at()), variant.learns_architecture],
        [
            False,
            False,
        ],
    )
    yield "the cell is chosen by the supernet's score", variant.default_selection, "best_sampled"
    runs = [variant.active(NB201, alpha, at(part=p)) for p in range(5)]
    yield "only the path runs", [[len(o) for o in run] for run in runs], [[1] * 6] * 5
    measured = variant.mixture(torch.zeros(6, 5), alpha, at(phase="evaluate"))
    yield "measuring sees the uniform mixture", measured.tolist(), [[0.2] * 5] * 6
    yield "it draws its own path", variant.samples_path, True


INERT = {"replace(moment, part=0)": "one stream for all passes, whichever it is"}
