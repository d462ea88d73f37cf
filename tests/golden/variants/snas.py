"""Soft Gumbel draws."""

import torch

from tests.golden.harness import at

SOURCE = (
    "Xie et al. 2019, SNAS, equation 4 (concrete distribution); temperatures 10 → 1 by 9/E an epoch in DrNAS, "
    "201-space/train_search.py (tau_max, tau_min); 1 fixed in SNAS-Series, SNAS/train_search.py (--temp, "
    "--temp_annealing off)"
)
ALPHA = torch.tensor([[0.3, -0.2, 0.1], [1.0, 0.0, 0.5]])


def draw(epoch, epochs, tau):
    g = -torch.empty(2, 3).exponential_(generator=at(epoch, epochs).generator("snas")).log()
    p = ((ALPHA - ALPHA.logsumexp(-1, keepdim=True) + g) / tau).exp()
    return p / p.sum(-1, keepdim=True)


def table(make):
    for name in ("drnas", None):
        variant = make(name) if name else make()
        found = [variant.temperature(at(e, 100)) for e in (0, 50, 99, 100)]
        yield f"{name}: τ at epochs 0, 50, 99, 100 of 100", found, [10.0, 5.5, 1.09, 1.0]
        yield f"{name}: the draw", variant.relax({"alpha": ALPHA}, at(50, 100)), draw(50, 100, 5.5)
    series = make("snas_series")
    yield "SNAS-Series: τ", [series.temperature(at(e, 150)) for e in (0, 75, 149)], [1.0] * 3
    measured = make().relax({"alpha": ALPHA}, at(0, 100, "evaluate"))
    yield "measuring sees softmax(α)", measured, ALPHA.exp() / ALPHA.exp().sum(-1, keepdim=True)
    yield "all operations run", make().active(None, {}, at()), None
