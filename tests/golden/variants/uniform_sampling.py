"""One operation per edge, each as likely."""

import torch

from bench.search.settings import WeightOptimizer
from tests.golden.harness import NB201, at

SOURCE = (
    "Guo et al. 2020, SPOS, equation 7 (uniform prior); RSPS in AutoDL-Projects, exps/algos/RANDOM-NAS.py "
    "(weights drawn anew each step, 100 cells chosen by accuracy)"
)


def table(make):
    variant, alpha = make(), {"alpha": torch.zeros(6, 5)}
    counts = sum(variant.mixture(torch.zeros(6, 5), alpha, at(step=s)) for s in range(1500)) / 1500
    yield "each operation with probability 1/5", bool((counts - 0.2).abs().max() < 0.04), True
    hot = variant.mixture(torch.zeros(6, 5), alpha, at())
    yield "one operation of an edge", hot.sum(-1).tolist(), [1.0] * 6
    yield (
        "which alone runs",
        variant.active(NB201, alpha, at()),
        [[o] for o in hot.argmax(-1).tolist()],
    )
    measured = variant.mixture(torch.zeros(6, 5), alpha, at(phase="evaluate"))
    yield "measuring sees the uniform mixture", measured.tolist(), [[0.2] * 5] * 6
    yield (
        "α is not learned",
        [variant.updates_architecture(at()), variant.learns_architecture],
        [
            False,
            False,
        ],
    )
    yield "it draws its own path", variant.samples_path, True
    yield "the cell is chosen by the supernet's score", variant.default_selection, "best_sampled"
    yield "by default all weights decay, as in RSPS's code", WeightOptimizer().unused, "decay"


INERT = {"replace(moment, part=0)": "one stream for all passes, whichever it is"}
