"""Hard Gumbel draws, τ from 10 to 0.1 in the last epoch."""

import torch

from tests.golden.harness import NB201, at

SOURCE = (
    "GDAS in AutoDL-Projects, exps/algos/GDAS.py (tau_max 10, tau_min 0.1, τ_max − (τ_max − τ_min)·e/(E − 1)) "
    "and lib/models/cell_searchs/search_cells.py (forward_gdas: undrawn weights are added)"
)
ALPHA = torch.tensor([[0.3, -0.2, 0.1, 0.0, 0.5]] * 6)


def table(make):
    for name in ("paper", "autodl", None):
        variant = make(name) if name else make()
        found = [variant.temperature(at(e, 250)) for e in (0, 83, 249)]
        yield f"{name}: τ at epochs 0, 83, 249 of 250", found, [10.0, 6.7, 0.1]
        yield f"{name}: τ at the end of two epochs", variant.temperature(at(1, 2)), 0.1
        yield f"{name}: τ of one epoch", variant.temperature(at(0, 1)), 10.0
        yield f"{name}: it draws its own path", variant.samples_path, True
        hard = variant.relax({"alpha": ALPHA}, at(10, 250))
        yield f"{name}: one-hot", [hard.sum(-1).tolist(), hard.amax(-1).tolist()], [[1.0] * 6] * 2
        g = -torch.empty(6, 5).exponential_(generator=at(10, 250).generator("gdas")).log()
        drawn = ((ALPHA.log_softmax(-1) + g) / 9.6024096).argmax(-1).tolist()
        yield f"{name}: the largest of (log p + g)/τ", hard.argmax(-1).tolist(), drawn
        yield (
            f"{name}: it alone runs",
            variant.active(NB201, {"alpha": ALPHA}, at(10, 250)),
            [[o] for o in drawn],
        )
        y = torch.ones(1, 1, 1, 1)
        alpha = ALPHA.clone().requires_grad_()
        out = make.hooks(variant, architecture={"alpha": alpha}, epoch=10, epochs=250).edge(
            y, y, cell=0, edge=0
        )
        yield f"{name}: the edge's value is unchanged", out.flatten().tolist(), [1.0]
        yield f"{name}: undrawn weights get a gradient", out.requires_grad, name != "paper"
    now, exact = at(10, 250), make(undrawn="exact")
    yield "exact: all operations run", exact.active(NB201, {"alpha": ALPHA}, now), None
    measuring = at(10, 250, "evaluate")
    for name in ("paper", "autodl"):
        whole = make(name).active(NB201, {"alpha": ALPHA}, measuring)
        yield f"{name}: all operations run while measuring", whole, None
    alpha = ALPHA.clone().requires_grad_()
    y = torch.ones(1, 1, 1, 1)
    out = make.hooks(make("autodl"), architecture={"alpha": alpha}, epoch=10, epochs=250).edge(
        y, y, cell=0, edge=0
    )
    (found,) = torch.autograd.grad(out.sum(), alpha)
    g = -torch.empty(6, 5).exponential_(generator=now.generator("gdas")).log()
    p = ((ALPHA.log_softmax(-1) + g) / 9.6024096).softmax(-1)[0]
    # The undrawn weights are added: ∂/∂α of 1 − p of the drawn one.
    drawn = p.argmax()
    published = -p[drawn] * (torch.eye(5)[drawn] - p) / 9.6024096
    yield "undrawn weights get the gradient of an output of one", found[0], published
    alpha = ALPHA.clone().requires_grad_()
    cost = torch.arange(5.0)
    hard = make("paper").relax({"alpha": alpha}, at(249, 250))
    (found,) = torch.autograd.grad((hard * cost).sum(), alpha)
    g = -torch.empty(6, 5).exponential_(generator=at(249, 250).generator("gdas")).log()
    p = ((ALPHA.log_softmax(-1) + g) / 0.1).softmax(-1)
    # ∂/∂α of Σ c·p with p = softmax((log softmax(α) + g)/τ): the shift of log softmax drops out.
    published = p * (cost - (p * cost).sum(-1, keepdim=True)) / 0.1
    yield "the gradient of the soft draw", found, published
    measured = make("paper").relax({"alpha": ALPHA}, at(3, 250, "evaluate"))
    yield "measuring sees softmax(α)", measured, ALPHA.exp() / ALPHA.exp().sum(-1, keepdim=True)
