"""Sigmoids without `none`, from zero, pushed away from a half."""

import torch

from bench.contracts import registry
from bench.search.composition import Composition
from tests.golden.harness import DARTS, NB201, at

SOURCE = (
    "FairDARTS, fairdarts/model_search.py (zeros, sigmoid), genotypes.py (PRIMITIVES without none), "
    "separate_loss.py (mean squared or absolute distance), train_search.py (aux_loss_weight 10)"
)
ALPHA = torch.tensor([[0.0, 1.0, -2.0]])
SIGMA = [0.5, 0.7310585786300049, 0.11920292202211755]


def table(make):
    for name, power in (("paper", 2), ("absolute", 1), (None, 2)):
        variant = make(name) if name else make()
        yield f"{name}: mixture", variant.relax({"alpha": ALPHA}, at())[0], SIGMA
        away = [abs(s - 0.5) ** power for s in SIGMA]
        loss = variant.architecture_loss({"alpha": ALPHA}, at()).item()
        yield f"{name}: L = −10·mean", loss, -10 * sum(away) / 3
        start = variant.parameters(NB201, 0)["alpha"]
        yield f"{name}: α of NAS-Bench-201 at the start", start, [[0.0] * 5] * 6
        competing = variant.candidates(NB201, at())
        yield f"{name}: none does not compete", competing, [[1, 2, 3, 4]] * 6
        yield f"{name}: nor in the DARTS space", variant.candidates(DARTS, at())[0], [*range(1, 8)]
    s1 = registry.parse("spaces", {"name": "darts", "preset": "s1"})
    two, own = (
        [list(edge) for edge in s1.candidates()],
        [s1.operations[o] for o in s1.candidates()[0]],
    )
    yield "S1 has no none: nothing is left out", make().candidates(s1, at()), None
    skip = s1.operations.index("skip_connect")
    left = make(exclude=("skip_connect",)).candidates(s1, at())
    yield "of its own two what is left", left, [[o for o in edge if o != skip] for edge in two]
    without = make(exclude=tuple(own)).candidates(s1, at())[0]
    yield "an edge that has nothing else keeps what it has", without, two[0]
    # What is out has no distance: the mean is over four operations of each edge.
    composition = Composition([make("paper")], NB201)
    alpha = torch.zeros(6, 5)
    alpha[:, 1] = 1.0
    loss = composition.architecture_loss({"alpha": alpha}, at()).item()
    yield "the mean is over what competes", loss, -10 * (SIGMA[1] - 0.5) ** 2 / 4
    mixture = composition.mixture({"alpha": alpha}, at())[0]
    yield "none has no weight", mixture, [0.0, SIGMA[1], 0.5, 0.5, 0.5]
