"""The fast evaluation scores like the discretised network that inherits the weights."""

import pytest
import torch
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.contracts import registry
from bench.ranking.evaluate import evaluate
from bench.ranking.protocol import Population, Protocol
from bench.search.loop import search
from bench.search.setup import build, initial_state


@pytest.mark.parametrize(
    ("space", "variants"),
    [
        ({}, []),
        ({"affine": True, "running_statistics": True}, []),
        ({}, [{"name": "skip_dropout"}]),
    ],
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


class Calibrated(torch.nn.Module):
    """Batch norm by the book, with the statistics of the first rows."""

    def __init__(self, norm, rows):
        super().__init__()
        self.norm, self.rows = norm, rows

    def forward(self, x):
        first = x[: self.rows]
        mean = first.mean(dim=(0, 2, 3), keepdim=True)
        variance = ((first - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        y = (x - mean) / (variance + 1e-5).sqrt()
        if self.norm.weight is not None:
            y = y * self.norm.weight[None, :, None, None] + self.norm.bias[None, :, None, None]
        return y


def calibrate(network, rows):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(module, name, Calibrated(child, rows))


@pytest.mark.parametrize("variants", [[], [{"name": "skip_dropout"}]])
@pytest.mark.parametrize("running", [False, True])
def test_recalibrated_statistics_are_those_of_training_images(small, variants, running):
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": running}
    settings = small(space=space)
    setup = build(settings, [registry.parse("variants", v) for v in variants], 0)
    state = initial_state(setup)
    search(setup, state)
    protocol = Protocol(batch=32, images=32, batch_norm="recalibrated", calibration=40)
    cells = [(3, 1, 2, 4, 0, 3), (3, 3, 3, 3, 3, 3), (3, 1, 2, 2, 4, 1)]
    scores = evaluate(setup, state, cells, protocol)
    (front,) = plain_batches(setup.data.train, 40, 40)
    (batch,) = plain_batches(setup.data.valid, 32, 32)
    for i, cell in enumerate(cells):
        network = setup.space.network(cell, 1, 10, seed=9)
        network.inherit(state.supernet)
        calibrate(network, 40)
        with torch.no_grad():
            logits = network(torch.cat([front.images, batch.images]))[40:]
        loss = float(F.cross_entropy(logits, batch.labels))
        assert scores.loss[i] == pytest.approx(loss, rel=1e-4)
    other = evaluate(setup, state, cells, Protocol(batch=32, images=32))
    assert abs(other.loss - scores.loss).max() > 1e-3


def test_running_statistics_are_those_that_the_search_kept(small):
    setup = build(small(space={"name": "nb201", "channels": 4, "cells": 1}), [], 0)
    with pytest.raises(ValueError, match=r"needs space\.running_statistics"):
        evaluate(setup, initial_state(setup), [(3,) * 6], Protocol(batch_norm="running"))
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}
    setup = build(small(space=space), [], 0)
    state = initial_state(setup)
    search(setup, state)
    cell = (3, 1, 2, 4, 0, 3)
    network = setup.space.network(cell, 1, 10, seed=9)
    network.inherit(state.supernet)
    network.eval()
    (batch,) = plain_batches(setup.data.valid, 32, 32)
    with torch.no_grad():
        loss = float(F.cross_entropy(network(batch.images), batch.labels))
    protocol = Protocol(batch=16, images=32, batch_norm="running")
    assert evaluate(setup, state, [cell], protocol).loss[0] == pytest.approx(loss, rel=1e-4)
    assert state.supernet.training


def test_alpha_weighted_paths_scale_each_operation_by_its_mixture_weight(small):
    setup = build(small(), [], 0)
    state = initial_state(setup)
    with torch.no_grad():
        state.architecture["alpha"].normal_(generator=torch.Generator().manual_seed(0))
    cell = (3, 1, 2, 4, 2, 3)
    (batch,) = plain_batches(setup.data.valid, 32, 32)
    weight = state.architecture["alpha"].detach().softmax(-1)
    mixture = torch.zeros(6, 5)
    for edge, operation in enumerate(cell):
        mixture[edge, operation] = weight[edge, operation]
    with torch.no_grad():
        loss = float(F.cross_entropy(state.supernet(batch.images, mixture), batch.labels))
    protocol = Protocol(batch=32, images=32, paths="alpha_weighted")
    assert evaluate(setup, state, [cell], protocol).loss[0] == pytest.approx(loss, rel=1e-4)


def test_the_digest_covers_what_moves_tau():
    base = Protocol()
    others = [Protocol(batch=100), Protocol(images=100), Protocol(population=Population(seed=1))]
    assert base.digest(truth="a") == Protocol(resamples=7).digest(truth="a")
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
