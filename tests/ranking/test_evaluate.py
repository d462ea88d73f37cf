"""The fast evaluation scores like the discretised network that inherits the weights."""

import pytest
import torch
from torch.nn import functional as F

from bench import registry
from bench.data._batches import plain_batches
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Population, Protocol
from bench.search import search
from bench.setup import build, initial_state


@pytest.mark.parametrize(
    ("space", "variants"),
    [({}, []), ({"affine": True, "running_statistics": True}, []), ({}, [{"name": "skip_dropout"}])],
)
def test_scores_are_those_of_the_discretised_networks(small, space, variants):
    settings = small(space={"name": "nb201", "channels": 4, "cells": 1, **space})
    setup = build(settings, [registry.parse("variants", v) for v in variants], 0)
    state = initial_state(setup)
    search(setup, state)
    cells = [(3, 1, 2, 4, 0, 3), (1,) * 6, (0,) * 6, (3,) * 6, (0, 2, 3, 2, 4, 1)]
    scores = evaluate(setup, state, cells, Protocol(batch=32, images=48))
    for i, cell in enumerate(cells):
        network = setup.space.network(cell, 1, 10, seed=9)
        network.inherit(state.supernet)
        right, loss = 0, 0.0
        with torch.no_grad():
            for batch in plain_batches(setup.data.valid, 32, 48):
                logits = network(batch.images)
                right += int((logits.argmax(-1) == batch.labels).sum())
                loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
        assert scores.accuracy[i] == pytest.approx(100 * right / 48)
        assert scores.loss[i] == pytest.approx(loss / 48, rel=1e-4)


def test_ranking_leaves_weights_and_buffers(small):
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}
    setup = build(small(space=space), [], 0)
    state = initial_state(setup)
    before = {k: v.clone() for k, v in state.supernet.state_dict().items()}
    evaluate(setup, state, [(3, 1, 2, 4, 0, 3)], Protocol(batch=32))
    assert all(torch.equal(before[k], v) for k, v in state.supernet.state_dict().items())


def test_populations_have_the_sizes_they_say():
    space = registry.parse("spaces", "nb201")
    assert len(Population(size=None).draw(space)) == 6466
    assert len(Population(kind="all", size=None).draw(space)) == 15625
    connected = Population(kind="all", size=None, disconnected=False).draw(space)
    assert len(connected) == 15625 - 341
    drawn = Population(size=50).draw(space)
    assert len(set(drawn)) == 50 and drawn == Population(size=50).draw(space)
    assert drawn != Population(size=50, seed=1).draw(space)
    assert len({space.canonical(cell) for cell in drawn}) == 50


def test_the_digest_covers_what_moves_tau():
    base = Protocol()
    others = [Protocol(batch=100), Protocol(images=100), Protocol(population=Population(seed=1))]
    digests = {p.digest(truth="a") for p in (base, *others)} | {base.digest(truth="b")}
    assert len(digests) == 5 and base.digest(truth="a") == Protocol().digest(truth="a")


def test_isomorphic_cells_are_scored_with_the_weights_of_their_own_edges(small):
    setup = build(small(), [], 0)
    state = initial_state(setup)
    # One 3x3 convolution between input and output, once directly and once behind a skip.
    direct, behind_skip = (0, 0, 0, 3, 0, 0), (1, 0, 0, 0, 3, 0)
    assert setup.space.canonical(direct) == setup.space.canonical(behind_skip)
    scores = evaluate(setup, state, [direct, behind_skip, direct], Protocol(batch=32))
    assert scores.loss[0] == scores.loss[2] != scores.loss[1]
