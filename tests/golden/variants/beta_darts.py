"""λ·mean logsumexp(α), λ from 0 to 50."""

import torch

from tests.golden.harness import at

SOURCE = "Ye et al. 2022, equation of L_Beta, and the code's 50·epoch/100 in NAS-Bench-201 over 100 epochs"
ALPHA = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.5]])
# log(1 + e + 1/e) = 1.4076059644, log(e² + 2·e^0.5) = 2.3689 by hand below.
MEAN = (1.4076059644443804 + 2.3690092250106) / 2


def table(make):
    for name in ("paper", None):
        variant = make(name) if name else make()
        yield (
            f"{name}: λ at epochs 0, 30, 99 of 100",
            [variant.strength(at(e, 100)) for e in (0, 30, 99)],
            [0.0, 15.0, 49.5],
        )
        loss = variant.architecture_loss({"alpha": ALPHA}, at(30, 100))
        yield f"{name}: the penalty at epoch 30", loss.item(), 15 * MEAN
    yield "a constant λ", make(weight=2.0, schedule="constant").strength(at(0, 100)), 2.0
