"""U(−ε, ε) on the mixture, clipped as the official code clips."""

import torch

from tests.golden.harness import at

SOURCE = (
    "SmoothDARTS, nasbench201/train_search.py (0.03 + (0.3 − 0.03)·epoch/epochs), nasbench201/model.py (clip: "
    "clamp to [0, 1], a row that sums to zero gets 1 at its argmax, divide by the sum)"
)
ROWS = [  # softmax(α), perturbed, clip(perturbed)
    (
        [0.9, 0.04, 0.03, 0.02, 0.01],
        [1.2, 0.1, 0.05, -0.1, 0.0],
        [1 / 1.15, 0.1 / 1.15, 0.05 / 1.15, 0, 0],
    ),
    ([0.2] * 5, [-0.05, -0.02, -0.1, 0.0, -0.04], [0, 0, 0, 1, 0]),
    ([0.2] * 5, [-0.05, -0.02, -0.1, -0.09, -0.04], [0, 1, 0, 0, 0]),
    ([0.2] * 5, [0.1, 0.2, 0.3, 0.2, 0.2], [0.1, 0.2, 0.3, 0.2, 0.2]),
    ([0.2] * 5, [0.5, 0.5, 0.5, -0.1, 0.5], [0.25, 0.25, 0.25, 0, 0.25]),
]


INERT = {
    "scatter(-1, largest, 1.0)": "brought to the row's total afterwards",
    "nan_to_num(0.0, 0.0, 0.0)": "what a row of zeros is multiplied by",
}

EQUIVALENT = {"0 -> 1": "no ε is one; at zero nothing is added either way"}


def project(member):
    """Return the projection that the member's module uses."""
    import sys

    helper = sys.modules[member.__mro__[1].__module__]
    return helper.project


def table(make):
    for name in ("paper", None):
        variant = make(name) if name else make()
        found = [variant.epsilon(at(e, 100)) for e in (0, 50, 99)]
        yield f"{name}: ε at epochs 0, 50, 99 of 100", found, [0.03, 0.165, 0.2973]
    clip = project(make.member)
    for i, (weights, perturbed, published) in enumerate(ROWS):
        found = clip(torch.tensor([perturbed]), torch.tensor([weights]))
        yield f"clip of row {i}", found[0], published
    # What is out stays out, and an edge of nothing stays nothing.
    out = clip(torch.tensor([[0.5, -0.1, -0.2]]), torch.tensor([[0.0, 0.5, 0.5]]))
    yield "an operation that is out", out[0], [0.0, 1.0, 0.0]
    yield "an edge of nothing", clip(torch.ones(1, 3), torch.zeros(1, 3))[0], [0.0] * 3
    # For a total other than one the total takes its place.
    double = clip(torch.tensor([[2.4, 0.2, -0.2]]), torch.tensor([[1.8, 0.1, 0.1]]))
    yield "a total of two", double[0], [2 * 2.0 / 2.2, 2 * 0.2 / 2.2, 0.0]
    weights, now = torch.tensor([[0.3, 0.3, 0.4]]), at(50, 100)
    uniform = torch.empty(1, 3).uniform_(-0.165, 0.165, generator=now.generator("x"))
    make.member.name, before = "x", make.member.name
    found = make("paper").noise(weights, 0.165, now)
    make.member.name = before
    drawn = (weights + uniform).clamp(0, 1)
    yield "uniform noise, then clip", found, drawn / drawn.sum()
    if make.member.name == "sdarts_rs":
        found = make("paper").perturb(weights, None, now)
        uniform = torch.empty(1, 3).uniform_(-0.165, 0.165, generator=now.generator("sdarts_rs"))
        drawn = (weights + uniform).clamp(0, 1)
        yield "which is the perturbation", found, drawn / drawn.sum()
