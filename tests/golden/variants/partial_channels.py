"""A quarter of the channels, edge normalisation, α from epoch 15."""

import torch

from tests.golden.harness import DARTS, NB201, at

SOURCE = (
    "PC-DARTS, model_search.py (k = 4, channel_shuffle(·, 4), softmax(betas), 1e-3·randn), train_search.py "
    "(epoch >= 15 of 50); DrNAS, 201-space/train_search.py --method darts --k 4 (no betas, no warm-up)"
)


def begins(variant, epochs):
    return [variant.updates_architecture(at(e, epochs)) for e in range(epochs)].index(True)


def table(make):
    beta = torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.2])
    for name in ("paper", None):
        variant = make(name) if name else make()
        options = variant.supernet_options()
        yield f"{name}: one in four, shuffled", options, {"partial": 4, "shuffled": True}
        yield f"{name}: first epoch with α of 50", begins(variant, 50), 15
        found = variant.parameters(DARTS, 0)["beta"]
        yield f"{name}: β of 28 edges", len(found), 28
        draws = torch.stack([variant.parameters(DARTS, s)["beta"] for s in range(200)])
        yield f"{name}: β deviates by 0.001", round(draws.std().item(), 4), 0.001
        y, hooks = torch.ones(1, 1, 1, 1), make.hooks(variant, architecture={"beta": beta})
        shares = [hooks.edge(y, y, cell=0, edge=e).item() for e in range(6)]
        e = beta.exp().tolist()
        second, third = e[1] + e[2], e[3] + e[4] + e[5]
        published = [1.0, e[1] / second, e[2] / second, *(v / third for v in e[3:])]
        yield f"{name}: softmax(β) of a node's edges", shares, published
        yield (
            f"{name}: edges are chosen by it",
            variant.edge_strength(NB201, {"beta": beta}),
            published,
        )
    row = make("drnas")
    yield (
        "NAS-Bench-201's published row: options",
        row.supernet_options(),
        {
            "partial": 4,
            "shuffled": True,
        },
    )
    yield "its α learns from the first epoch", begins(row, 100), 0
    yield "it has no β", (row.parameters(NB201, 0), row.edge_strength(NB201, {})), ({}, None)
    yield "one in two", make(K=2).supernet_options(), {"partial": 2, "shuffled": True}
    yield "all channels: an ordinary supernet", make(K=1).supernet_options(), {}
