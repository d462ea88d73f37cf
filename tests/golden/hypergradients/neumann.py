"""K summands of the Neumann series at the present weights."""

import torch

from tests.golden.hypergradients import PLAIN, quadratic, same, still
from tests.hypergradients import checks

SOURCE = "Lorraine et al. 2020, algorithm 3 (v ← v − α·vH, p ← p + v; here K counts the summands)"


def table(make):
    checks.neumann(make.member)
    yield "a training batch", make().horizon, 1
    yield "this suite's summands, the inner rate", (make().K, make().a), (10, None)

    def flags(eigenvalues, K=30, a=None):
        q = quadratic(PLAIN, eigenvalues=torch.tensor(eigenvalues, dtype=torch.float64))
        found = make(K=K, a=a).estimate(q.problem, q.batches, q.valid).flags
        return found["diverged"], found["indefinite"]

    sound = [0.5, 0.8, 1.0, 1.3, 1.7, 2.0]
    yield "below 2/λ it converges", flags(sound, 60, 0.9), (0.0, 0.0)
    yield "above 2/λ it diverges", flags(sound, 30, 1.1), (1.0, 0.0)
    yield "at 2/λ it stays", flags([2.0] * 6, 9, 1.0), (0.0, 0.0)
    yield "a negative eigenvalue", flags([-0.5, *sound[1:]]), (1.0, 1.0)
    yield "without curvature nothing grows", flags([0.0] * 6), (0.0, 0.0)
    q, valid = still()
    found = make().estimate(q.problem, q.batches, valid).flags
    yield "nothing to follow", found, {"residual": 0.0, "diverged": 0.0, "indefinite": 0.0}
    yield "an idle weight changes nothing", same(make(), quadratic(PLAIN)), True


EQUIVALENT = {
    "max((torch.finfo(tensor.dtype).eps for tensor in v.values()), default=0.0) -> "
    "min((torch.finfo(tensor.dtype).eps for tensor in v.values()), default=0.0)": "one type of number",
    "0.0 -> 0.25": "defaults for no weights at all; the residual of nothing is told",
    "after > before * (1.0 + slack) -> after >= before * (1.0 + slack)": "rounding",
}
