"""Drop-path on whole edges, growing to its rate in the last epoch."""

import torch

from tests.golden.harness import at

SOURCE = "RobustDARTS, src/search/train_search.py: drop_path_prob·epoch/(epochs − 1); rates 0.2, 0.4, 0.6"


def table(make):
    paper = make("paper")
    found = [paper.probability(at(e, 50)) for e in (0, 7, 49)]
    yield "p at epochs 0, 7, 49 of 50", found, [0.0, 0.6 / 7, 0.6]
    yield "p at the end of 8 epochs", paper.probability(at(7, 8)), 0.6
    yield "nothing while measuring", paper.probability(at(7, 8, "evaluate")), 0.0
    yield "p at the end of 2 epochs", paper.probability(at(1, 2)), 0.6
    yield "a search of one epoch", paper.probability(at(0, 1)), 0.0
    yield "the smallest of the paper's rates by default", make().probability(at(49, 50)), 0.2
    y = torch.ones(20000, 3, 2, 2)
    out = make.hooks(paper, epoch=49).edge(y, y, cell=0, edge=0)
    yield "what is kept is scaled by 1/(1 − p)", out.max().item(), 2.5
    share = (out[:, 0, 0, 0] == 0).float().mean().item()
    yield "six of ten images lose the edge", round(share, 1), 0.6
    whole = torch.equal(out, out[:, :1, :1, :1].expand_as(out))
    yield "an image keeps all of the edge or nothing", whole, True


EQUIVALENT = {"0 -> 1": "a mask that drops nothing is all ones"}
