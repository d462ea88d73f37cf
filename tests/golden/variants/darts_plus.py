"""Two skips in the normal cell, or a ranking that has stood for ten epochs."""

from types import SimpleNamespace

import torch

from tests.golden.harness import DARTS, NB201

SOURCE = "Liang et al. 2019, DARTS+, section 3.2: criterion 1 (two or more skip-connects), 1* (10 epochs)"


def stops(variant, alphas, epochs=50, space=NB201):
    """Return after which epoch the variant stops a search with these α."""
    state = SimpleNamespace(epoch=0, history=[])
    for alpha in alphas:
        state.epoch += 1
        state.history.append({"alpha": alpha.tolist()})
        setup = SimpleNamespace(
            space=space,
            settings=SimpleNamespace(search=SimpleNamespace(epochs=epochs)),
            strength=lambda _, alpha=alpha: alpha.softmax(-1),
        )
        if variant.stop(setup, state) is not None:
            return state.epoch
    return None


def skips(count, operations=5, skip=1, conv=3, edges=6):
    alpha = torch.zeros(edges, operations)
    alpha[:, conv] = 1.0
    alpha[:count, skip] = 2.0
    return alpha


def settling(after, total):
    """The two convolutions of one edge change places every epoch until ``after``."""
    found = []
    for e in range(total):
        alpha = skips(0)
        alpha[0, 2] = 2.0 if e < after and e % 2 else 0.5
        found.append(alpha)
    return found


def table(make):
    paper = make("paper")
    yield "one skip goes on", stops(paper, [skips(1)] * 3), None
    yield "two skips stop at once, without a guard", stops(paper, [skips(1), skips(2)]), 2
    # In the DARTS space the skips of the normal cell count (edges 0 to 13), not the reduction cell's.
    reduction = skips(28, 8, 3, 4, 28)
    reduction[:14, 3] = 0.0
    yield "skips of the reduction cell", stops(paper, [reduction], space=DARTS), None
    ranking = make("ranking")
    yield "a ranking from the start: after 10 epochs", stops(ranking, [skips(6)] * 20), 10
    # Changes until epoch 4 (the last odd one before 5): the same from the 5th epoch on.
    yield "10 epochs after the last change", stops(ranking, settling(5, 20)), 14
    guarded = make()
    yield "this suite's guard: a fifth of the search", stops(guarded, [skips(6)] * 20), 10
    yield "the default's criterion 1*", stops(make(skips=None), [skips(0)] * 20, 20), 10
    yield "the default's guard beyond ten", stops(make(), [skips(6)] * 50, 100), 20
    yield "the default's criterion 1", stops(make(stable=None), [skips(1)] * 50), None
    yield "two skips are enough", stops(make(stable=None), [skips(2)] * 50), 10
