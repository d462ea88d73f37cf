"""Dirichlet draws, their mean while measuring, and the progressive stages."""

import math

import torch

from bench.search.composition import Composition
from tests.golden.harness import NB201, at

SOURCE = (
    "DrNAS, 201-space/search_model.py (elu(α) + 1), train_search_progressive.py (k 4 → 2, 5 → 3 operations, "
    "two stages of 50 epochs, α frozen in 10 of each), architect.py (reg_type kl: Adam's weight decay 0)"
)
ALPHA = torch.tensor([[0.5, -0.5, 0.0]])
C = [1.5, math.exp(-0.5), 1.0]  # elu + 1


def table(make):
    for name in ("paper", None):
        variant = make(name) if name else make()
        mean = variant.relax({"alpha": ALPHA}, at(phase="evaluate"))
        yield f"{name}: the mean c/Σc", mean[0], [c / sum(C) for c in C]
        yield f"{name}: all channels", variant.supernet_options(), {}
        yield (
            f"{name}: α learns from the first epoch",
            variant.updates_architecture(at(0, 100)),
            True,
        )
        yield f"{name}: no KL term", variant.architecture_loss({"alpha": ALPHA}, at()), None
        yield f"{name}: Adam's own weight decay", variant.architecture_decay, None
        yield (
            f"{name}: nothing is dropped, nothing widened",
            (variant.keep, variant.widens),
            ((), False),
        )
    paper = make("paper")
    alpha = ALPHA.clone().requires_grad_()
    p = paper.relax({"alpha": alpha}, at(step=3))
    yield "a draw sums to one", p.sum().item(), 1.0
    c = torch.tensor([C])
    x = torch._sample_dirichlet(c, generator=at(step=3).generator("drnas"))
    yield "it is torch's draw", p, x
    cost = torch.tensor([1.0, -2.0, 0.5])
    (found,) = torch.autograd.grad((p * cost).sum(), alpha)
    total = c.sum(-1, keepdim=True).expand_as(c)
    # Pathwise: ∂x_i/∂c_j = d_j(δ_ij − x_i); ∂c/∂α is 1 above zero and e^α below.
    d = torch._dirichlet_grad(x, c, total)
    by_c = d * (cost - (x * cost).sum())
    yield "the pathwise gradient", found, by_c * torch.tensor([[1.0, math.exp(-0.5), 1.0]])
    kl = make(kl=0.1)
    n, total = 3, sum(C)
    divergence = (
        math.lgamma(total)
        - sum(math.lgamma(v) for v in C)
        - math.lgamma(n)
        + sum((v - 1) * (digamma(v) - digamma(total)) for v in C)
    )
    loss = kl.architecture_loss({"alpha": ALPHA}, at()).item()
    yield "kl·KL(Dir(c) ‖ Dir(1))", loss, 0.1 * divergence
    yield "and then no weight decay of Adam's", Composition([kl], NB201).architecture_decay, 0.0
    stages = make("progressive")
    first, second = at(0, 100), at(50, 100, memory={"drnas": {"stage": 1, "kept": None}})
    yield (
        "K of the stages, built for the last",
        (
            stages.partial(first),
            stages.partial(second),
            stages.supernet_options(),
        ),
        (4, None, {"partial": 2}),
    )
    yield "K = 2 throughout", make(K=(2,)).supernet_options(), {"partial": 2}
    learns = [e for e in range(100) if stages.updates_architecture(at(e, 100))]
    yield "α learns in", learns, [*range(10, 50), *range(60, 100)]
    yield "operations of the second stage", stages.keep, (3,)
    yield "it widens, and ranks operations", (stages.widens, stages.ranks_operations), (True, True)
    yield "progressive has no KL term", stages.architecture_decay, None


def digamma(x):
    return torch.digamma(torch.tensor(x, dtype=torch.float64)).item()


INERT = {
    'get("stage", 0)': "the stage that a search begins in",
    "torch.where(kept, alpha, 0.0)": "of what is out, which is multiplied by zero",
    "if self.keep and len(self.keep)": "refuses a list of the wrong length",
    "raise ValueError": "the sentence of the refusal",
    "if min(self.K) < 1": "refuses what no schedule can be",
}
