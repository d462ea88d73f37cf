"""At most two skips in the normal cell."""

from types import SimpleNamespace

import torch

from tests.golden.harness import DARTS, NB201, at

SOURCE = "P-DARTS, train_search.py (delete_min_sk_prob, keep_1_on, keep_2_branches), paper section 3.3 (M = 2)"


def choose(rule, strength, space=NB201, left=None):
    composition = SimpleNamespace(candidates=lambda moment: left)
    setup = SimpleNamespace(
        space=space,
        strength=lambda state: strength,
        composition=composition,
        moment=lambda state, phase: at(phase=phase),
    )
    return rule.select(setup, None)


def table(make):
    for name in ("paper", None):
        rule = make(name) if name else make()
        strength = torch.full((6, 5), 0.1)
        strength[:, 0] = 0.9  # none never wins
        strength[:, 1] = torch.tensor([0.50, 0.61, 0.42, 0.73, 0.34, 0.25])
        strength[:, 3] = 0.2
        # Six skips; 0.25, 0.34, 0.42 and 0.50 leave, the two strongest stay.
        yield f"{name}: two skips stay", choose(rule, strength), (3, 1, 3, 1, 3, 3)
    strength[0] = torch.tensor([0.5, 0.24, 0.1, 0.1, 0.1])
    left = [[0, 1], *[[0, 1, 2, 3, 4]] * 5]
    yield (
        "an edge of none and skip keeps its skip",
        choose(make("paper"), strength, left=left),
        (
            1,
            3,
            3,
            1,
            3,
            3,
        ),
    )
    left = [[1, 3], *[[0, 1, 2, 3, 4]] * 5]
    yield "of skip and one other the other", choose(make("paper"), strength, left=left)[0], 3
    cell = torch.zeros(28, 8)
    cell[:, 4] = 0.2
    cell[:, 3] = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, *[0.1] * 9, *[0.9] * 14])
    # Normal cell: nodes 2 and 3 take edges 0, 1 and 2, 3, all skips; 0.6 and 0.7 are ruled out, so that
    # edge 4 (0.5) enters and is ruled out too. The reduction cell keeps its eight skips.
    found = choose(make("paper"), cell, DARTS)
    yield "the next edge takes its place", found[:5], (3, 3, 4, 4, -1)
    yield "the reduction cell is not limited", sum(o == 3 for o in found[14:]), 8


EQUIVALENT = {
    "torch.isfinite(row).sum() > 1 -> torch.isfinite(row).sum() >= 1": (
        "of a row that has nothing left the first is read off, which is none again"
    ),
}
