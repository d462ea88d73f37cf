"""One virtual step of momentum and decay, the mixed term by a central difference of 0.01/‖v‖."""

import torch

from bench.contracts.hypergradient import Problem
from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks

SOURCE = "DARTS, cnn/architect.py (_compute_unrolled_model, _hessian_vector_product with r = 1e-2)"


def table(make):
    checks.darts_second_order(make.member)
    yield "r", make().epsilon, 0.01
    yield "a training batch", make().horizon, 1
    yield "an idle weight changes nothing", same(make(), quadratic(PLAIN)), True

    def cubic(w, a, batch):
        return a["λ"].sum() * (w["w"] ** 3).sum()

    def square(w, a, batch):
        return 0.5 * (w["w"] ** 2).sum() + a["λ"].sum() ** 2

    def problem(valid):
        w = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
        λ = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
        return Problem({"w": w}, {"λ": λ}, cubic, valid, PLAIN)

    w = torch.tensor([2.0, -1.0], dtype=torch.float64)
    v = w - 0.3 * 0.1 * 3 * w**2  # ∂_w L_val is w′ itself
    eps = 0.01 / v.norm()
    # (Σ(w + εv)³ − Σ(w − εv)³)/2ε = Σ 3w²v + ε²Σ v³.
    published = -0.3 * ((3 * w**2 * v).sum() + eps**2 * (v**3).sum())
    found = make(epsilon=0.01).estimate(problem(square), [None], None)
    yield (
        "the difference of 0.01/‖v‖ on a cubic",
        found.implicit["λ"].item() / published.item(),
        1.0,
    )
    wide = -0.3 * ((3 * w**2 * v).sum() + (4 / v.norm()) ** 2 * (v**3).sum())
    far = make(epsilon=4.0).estimate(problem(square), [None], None).implicit["λ"]
    yield "a wide difference", far.item() / wide.item(), 1.0
    yield "it is sound", found.flags["diverged"], 0.0
    none = make().estimate(problem(lambda w, a, batch: a["λ"].sum() ** 2), [None], None)
    yield "nothing to follow", (none.implicit["λ"].tolist(), none.flags), ([0.0], {"diverged": 0.0})
    nowhere = make().estimate(problem(lambda w, a, b: torch.inf * square(w, a, b)), [None], None)
    yield "nothing finite is said", nowhere.flags["diverged"], 1.0
