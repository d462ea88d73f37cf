"""Dirichlet draws, their mean while measuring, and the progressive stages."""

import math
from types import SimpleNamespace

import torch

from bench.search.composition import Composition
from tests.golden.harness import NB201, at, searching

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
    decays = [
        searching(make(kl=weight))[1].architecture_optimizer.param_groups[0]["weight_decay"]
        for weight in (0.1, 0.0)
    ]
    yield "Adam's weight decay with KL and without", decays, [0.0, 1e-3]
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
    yield from shrinking(make)
    yield "progressive has no KL term", stages.architecture_decay, None


def shrinking(make):
    """What happens after which epoch: who is widened how, and who is left."""
    strength = torch.tensor([[0.1, 0.3, 0.2, 0.25, 0.15]] * 6)

    def play(variant, epochs):
        told, left = [], []
        composition = Composition([variant], NB201)
        state = SimpleNamespace(
            epoch=0,
            memory={},
            weight_optimizer=SimpleNamespace(state={}),
            supernet=SimpleNamespace(
                widen=lambda before, now, *rest: told.append((state.epoch, before, now))
            ),
        )
        setup = SimpleNamespace(
            settings=SimpleNamespace(search=SimpleNamespace(epochs=epochs)),
            seed=0,
            space=NB201,
            composition=composition,
            moment=lambda state, phase: at(state.epoch, epochs, phase, memory=state.memory),
            mixture=lambda state: strength,
        )
        for state.epoch in range(1, epochs + 1):
            variant.after_epoch(setup, state)
            left.append(state.memory.get("drnas", {}).get("kept"))
        return told, [row and row[0] for row in left], state.memory

    told, left, memory = play(make("progressive"), 100)
    yield "progressive widens after epoch", told, [(50, 4, 2)]
    yield "and keeps the three strongest", left, [None] * 49 + [[1, 2, 3]] * 51
    told, left, _ = play(make(K=(8, 4, 2), keep=(4, 2)), 9)
    yield "three stages", told, [(3, 8, 4), (6, 4, 2)]
    yield "of four, then two", left, [None] * 2 + [[1, 2, 3, 4]] * 3 + [[1, 3]] * 4
    told, left, _ = play(make(K=(4, 2)), 4)
    yield "widened alone", (told, left), ([(2, 4, 2)], [None] * 4)
    variant = make("progressive")
    alpha = ALPHA.new_tensor([[0.5, -0.5, 0.0, 0.2, 0.1]] * 6)
    for phase in ("weights", "evaluate"):
        now = at(60, 100, phase, memory=memory)
        found = Composition([variant], NB201).mixture({"alpha": alpha}, now)[0]
        yield (
            f"{phase}: who left has nothing",
            (found == 0).tolist(),
            [True, False, False, False, True],
        )
        yield f"{phase}: the others all of it", found.sum().item(), 1.0


def digamma(x):
    return torch.digamma(torch.tensor(x, dtype=torch.float64)).item()


INERT = {
    'get("stage", 0)': "the stage that a search begins in",
    "torch.where(kept, alpha, 0.0)": "of what is out, which is multiplied by zero",
    "if self.keep and len(self.keep)": "refuses a list of the wrong length",
    "raise ValueError": "the sentence of the refusal",
    "if min(self.K) < 1": "refuses what no schedule can be",
}
EQUIVALENT = {
    "moved - x * moved.sum(-1, keepdim=True) -> moved + x * moved.sum(-1, keepdim=True)": (
        "what is added in the draw's own direction goes when it is normalised"
    ),
    "state.epoch >= epochs -> state.epoch > epochs": "at the end no further stage begins",
    "max(self.K) -> min(self.K)": "one in one is an ordinary supernet",
    "min(self.K) -> max(self.K)": "refuses what no schedule can be",
    "min(self.K) < 1 or any((a % b for a, b in zip(self.K, self.K[1:], strict=False))) -> "
    "min(self.K) < 1 and any((a % b for a, b in zip(self.K, self.K[1:], strict=False)))": (
        "refuses what no schedule can be"
    ),
}
