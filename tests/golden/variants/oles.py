"""Cosine of the two gradients, mean of 20 steps, frozen below 0.4."""

from types import SimpleNamespace

import torch
from torch import nn

from tests.golden.harness import searching

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
    both = [(one, slice(0, 2)), (still, slice(0, 2))]
    known = {id(one): first, id(still): none}
    yield (
        "a weight at rest beside one that moves",
        make().agreement(both, known),
        25 / (25 * 27) ** 0.5,
    )
    unreached = nn.Parameter(torch.zeros(2, 2))
    both = [(one, slice(0, 2)), (unreached, slice(0, 2))]
    known = {id(one): first, id(unreached): none}
    yield "a weight without gradient", make().agreement(both, known), 25 / (25 * 26) ** 0.5
    yield from freezing(make)


def freezing(make):
    """Who is held in which step: the mean of 20, below 0.4, for good; then the averages begin anew."""
    agree = pair([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]])
    below = [[0.39, (1 - 0.39**2) ** 0.5], [0.0, 0.0]]  # a cosine of 0.39
    parted = pair([[1.0, 0.0], [0.0, 0.0]], below)
    weights, valid = [agree[0], parted[0]], {id(w): v for w, v in (agree, parted)}
    operations = [[(w, slice(0, 2))] for w in weights]
    supernet = SimpleNamespace(operations=lambda: operations)
    state = SimpleNamespace(supernet=supernet, memory={}, history=[{}])
    kind = make.member
    before, kind._on_validation = kind._on_validation, lambda self, setup, state: valid
    try:
        variant, held = make(), []
        for step in range(1, 62):
            if step == 21:
                valid[id(weights[0])] = torch.tensor(below)
            held.append(len(variant.hold_weights(None, state, None)))
        found = variant.hold_weights(None, state, None)[1]
        variant.after_epoch(None, state)
        operations.append([(nn.Parameter(torch.zeros(2, 2)), slice(0, 2))])
        grown = variant.hold_weights(None, state, None)
        off = SimpleNamespace(supernet=supernet, memory={}, history=[{}])
        none = make(threshold=-1.0).hold_weights(None, off, None)
        make(threshold=-1.0).after_epoch(None, off)
        fresh = SimpleNamespace(memory={}, history=[{}])
        make().after_epoch(None, fresh)
    finally:
        kind._on_validation = before
    yield "operations held in 61 steps", held, [0] * 19 + [1] * 20 + [2] * 22
    yield "which", found[0] is weights[1], True
    yield "the history counts them", state.history, [{"frozen_operations": 2}]
    yield "a supernet that has grown begins anew", list(grown), []
    yield "off", (list(none), off.history, off.memory), ([], [{}], {})
    yield "none yet", fresh.history, [{"frozen_operations": 0}]
    setup, state = searching()
    found = make()._on_validation(setup, state)
    moment, batch = setup.moment(state, "architecture"), setup.batch("valid", 0)
    logits = setup.logits(state, moment, batch, state.architecture["alpha"].softmax(-1).detach())
    own = list(state.supernet.named.values())
    loss = torch.nn.functional.cross_entropy(logits, batch.labels)
    published = torch.autograd.grad(loss, own, allow_unused=True)
    yield (
        "the gradient of the validation loss",
        [found[id(w)].norm().item() for w in own],
        [g.norm().item() for g in published],
    )


INERT = {
    '"frozen": [], "sums": [], "steps": 0': "empty at the start, and then set anew",
    "allow_unused=True": "how torch is told that some weights are not reached",
    "for i in (0, 1)": "the two of a pair",
}
