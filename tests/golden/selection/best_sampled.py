"""A hundred cells, the best by accuracy."""

from types import SimpleNamespace

import torch

from tests.golden.harness import NB201

SOURCE = "AutoDL-Projects, exps/algos/RANDOM-NAS.py (--select_num 100: the highest accuracy)"


def table(make):
    import bench.ranking.evaluate as evaluation
    from bench.ranking.protocol import Protocol

    seen, protocols = [], []

    def evaluate(setup, state, cells, protocol):
        protocols.append(protocol)
        seen.extend(cells)
        accuracy = [sum(cell) % 7 for cell in cells]
        return SimpleNamespace(accuracy=accuracy, loss=[cell[0] for cell in cells])

    setup = SimpleNamespace(space=NB201, seed=0, settings=SimpleNamespace(ranking=None))
    before, evaluation.evaluate = evaluation.evaluate, evaluate
    try:
        found = make().select(setup, SimpleNamespace(step=0))
        count = len(seen)
        other = SimpleNamespace(space=NB201, seed=0, settings=SimpleNamespace(ranking="own"))
        make(k=3).select(other, SimpleNamespace(step=0))
        del seen[count:]
    finally:
        evaluation.evaluate = before
    drawn = NB201.sample(100, torch.Generator().manual_seed(0))
    yield "a hundred draws", len(seen), len(dict.fromkeys(seen))
    yield "of which few are equal", 95 <= len(seen) <= len(drawn), True
    best = [cell for cell in seen if sum(cell) % 7 == 6]
    yield "the best accuracy, then the least loss", found, min(best, key=lambda cell: cell[0])
    yield "k", make().k, 100
    yield "by the run's protocol, or the default", protocols, [Protocol(), "own"]
