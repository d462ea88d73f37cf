"""Two groups, r^(1/n) each, drawn anew where all are lost; α-adjust."""

import math

import torch

from bench.contracts.variant import ArchitectureStep
from bench.search.composition import Composition
from tests.golden.harness import DARTS, NB201, at

SOURCE = (
    "DropNAS, models/search_cnn.py (generate_masks: drop_rate ** (1/4) in groups of 4, resampled if all "
    "zero; generate_weights; adjust_alphas) and config.py (drop_rate 3e-5)"
)
BEFORE = torch.tensor([[0.3, -0.2, 0.1, 0.0, 0.5]])
AFTER = torch.tensor([[0.31, -0.15, 0.4, -0.3, 0.5]])
KEPT = [1, 2, 4]


def adjusted(before, after):
    """Shift by the code's log(ratio/(1 − ratio)·remain/updated), with what is dropped at rest."""
    total = sum(math.exp(a) for a in before)
    ratio = sum(math.exp(before[o]) for o in KEPT) / total
    remain = sum(math.exp(before[o]) for o in range(5) if o not in KEPT)
    updated = sum(math.exp(after[o]) for o in KEPT)
    k = math.log(ratio / (1 - ratio) * remain / updated)
    return [after[o] + k if o in KEPT else before[o] for o in range(5)]


def shares(variant, space, group, steps):
    """Return how often operations of a group are left on an edge."""
    left = [own for s in range(steps) for own in variant.drop(space, None, at(step=s))]
    return sum(len(set(own) & set(group)) for own in left) / (len(left) * len(group))


def table(make):
    paper = make("paper")
    yield "the paper's rate", (paper.rate, paper.adjust), (3e-5, True)
    yield "by default so", make(), paper
    strong = make(rate=0.1)
    for what, space, group in (
        ("convolutions of NAS-Bench-201", NB201, [2, 3]),
        ("its others", NB201, [0, 1, 4]),
        ("convolutions of the DARTS space", DARTS, [4, 5, 6, 7]),
    ):
        n = len(group)
        p = 0.1 ** (1 / n)
        found = shares(strong, space, group, 4200 // len(space.edges))
        # Given that not all are dropped.
        near = abs(found - (1 - p) / (1 - 0.1)) < 0.012
        yield f"{what}: each left with probability (1 − p)/(1 − r)", near, True
    left = [strong.drop(NB201, None, at(step=s)) for s in range(300)]
    kept = all(set(row) & {2, 3} and set(row) & {0, 1, 4} for own in left for row in own)
    yield "no group is ever lost", kept, True
    yield "drawn for every edge", len({tuple(row) for row in left[0]}) > 1, True
    yield "in every step", left[0] != left[1], True
    for phase in ("weights", "architecture"):
        yield f"one draw for a step: {phase}", strong.drop(NB201, None, at(3, phase=phase)), left[3]
    yield "one draw for all passes", strong.drop(NB201, None, at(3, part=2)), left[3]
    yield "nothing while measuring", strong.drop(NB201, None, at(3, phase="evaluate")), None
    fewer = [strong.drop(NB201, [[1, 3]] * 6, at(step=s)) for s in range(50)]
    yield "of groups of one nothing is dropped", all(own == [[1, 3]] * 6 for own in fewer), True
    mixture = Composition([strong], NB201).mixture({"alpha": BEFORE.repeat(6, 1)}, at(3))
    own = left[3][0]
    total = sum(math.exp(BEFORE[0, o]) for o in own)
    softmax = [math.exp(BEFORE[0, o]) / total if o in own else 0.0 for o in range(5)]
    yield "the softmax is over those that are left", mixture[0], softmax
    step = ArchitectureStep({"alpha": BEFORE}, {"alpha": AFTER}, {}, [KEPT])
    moved = paper.step_architecture(step, at())["alpha"]
    yield "α-adjust", moved[0], adjusted(BEFORE[0].tolist(), AFTER[0].tolist())
    whole = ArchitectureStep({"alpha": BEFORE}, {"alpha": AFTER}, {}, [[*range(5)]])
    yield "where nothing is dropped, none", paper.step_architecture(whole, at())["alpha"], AFTER
    loose = make(adjust=False).step_architecture(step, at())["alpha"]
    yield "without it, the optimiser's", loose, AFTER
    off = make(rate=0.0)
    yield "off: nothing is drawn", off.drop(NB201, None, at(3)), None
    yield "off: the optimiser's", off.step_architecture(step, at())["alpha"], AFTER


INERT = {"part=0": "one stream for all passes, whichever it is"}
EQUIVALENT = {
    "space.operations[o] in space.weight_free -> space.operations[o] not in space.weight_free": (
        "the same two groups, drawn in the other order"
    ),
    "u >= probability -> u > probability": "no draw is just that",
}
