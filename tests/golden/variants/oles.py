"""Cosine of the two gradients, mean of 20 steps, frozen below 0.4."""

import torch
from torch import nn

SOURCE = (
    "OLES, train_search.py (patience 0.4, count 20; check_grads_cosine: cosine_similarity(dim=0).mean(), "
    "averaged over the operation's weights); the paper's gradient matching score is of the whole gradient"
)


def pair(train, valid):
    """Return a weight whose training gradient is set, and the validation gradient."""
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.tensor(train)
    return weight, torch.tensor(valid)


def table(make):
    for name in ("paper", "code", None):
        variant = make(name) if name else make()
        yield f"{name}: threshold and window", (variant.threshold, variant.window), (0.4, 20)
        parted = [variant.parts(c) for c in (0.39, 0.4, 0.41)]
        yield f"{name}: frozen below 0.4", parted, [True, False, False]
    one, first = pair([[3.0, 0.0], [4.0, 0.0]], [[3.0, 1.0], [4.0, 0.0]])
    two, second = pair([[1.0, 1.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]])
    own, valid = [(one, slice(0, 2)), (two, slice(0, 2))], {id(one): first, id(two): second}
    # ⟨·,·⟩ = 25 + 1, lengths √(25 + 2) and √(26 + 2).
    yield "of the whole gradient", make("paper").agreement(own, valid), 26 / (27 * 28) ** 0.5
    # Columns (3, 4)·(3, 4) and nothing: 1 and 0; (1, 0)·(0, 1) and (1, 0)·(1, 0): 0 and 1.
    yield "along the channels", make("code").agreement(own, valid), (0.5 + 0.5) / 2
    half = [(one, slice(0, 1))]
    yield "of its own rows", make("paper").agreement(half, valid), 9 / (3 * 10**0.5)
    still, none = pair([[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]])
    yield (
        "what was not run agrees",
        make().agreement([(still, slice(0, 2))], {id(still): none}),
        1.0,
    )


INERT = {
    '"frozen": [], "sums": [], "steps": 0': "empty at the start; see tests/variants/test_oles.py",
    '"sums": [0.0] * len(operations)': "how averages begin; see tests/variants/test_oles.py",
    'memory["steps"] += 1': "how steps are counted; see tests/variants/test_oles.py",
    "allow_unused=True": "how torch is told that some weights are not reached",
    "for i in (0, 1)": "the two of a pair",
}
