"""The discretisation gap against networks of their own, and fine-tuning by hand."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.contracts import registry
from bench.instruments.discretisation_gap import relative_entropy
from bench.search.loop import search
from bench.search.setup import build, initial_state
from bench.streams import generator
from tests.ranking.test_evaluate import calibrate
from tests.spaces.textbook import TextbookSupernet

SMALL = {"images": 48, "batch": 48, "calibration": 40}


def accuracy(network, setup, *more):
    """Percent right on 48 validation images, batch norm by the book from 40 training images."""
    calibrate(network, 40)
    (front,) = plain_batches(setup.data.train, 40, 40)
    (batch,) = plain_batches(setup.data.valid, 48, 48)
    with torch.no_grad():
        logits = network(torch.cat([front.images, batch.images]), *more)[40:]
    return 100 * (logits.argmax(-1) == batch.labels).float().mean().item()


@pytest.fixture
def trained(searched):
    setup, state = searched(search={"epochs": 4, "batch": 16}, spread=0.3, truth="analog")
    with torch.no_grad():  # a cell that is right more often than by chance
        for edge, operation in enumerate((3, 1, 2, 4, 3, 1)):
            state.architecture["alpha"][edge, operation] += 1.5
    return setup, state, (3, 1, 2, 4, 3, 1)


def test_soft_and_discrete_are_those_of_networks_of_their_own(trained, read):
    setup, state, cell = trained
    found = read(setup, state, "discretisation_gap", **SMALL)
    naive = TextbookSupernet(1, 10, 4, 1)
    naive.copy_from(state.supernet)
    assert found["gap_soft"] == pytest.approx(accuracy(naive, setup, setup.mixture(state)))
    network = setup.space.network(cell, 1, 10, seed=9)
    network.inherit(state.supernet)
    assert found["gap_discrete"] == pytest.approx(accuracy(network, setup))
    assert found["discrete_drop"] == pytest.approx(found["gap_soft"] - found["gap_discrete"])
    assert found["discrete_drop"] != 0
    assert "gap_finetuned" not in found


def test_truth_and_regret_are_the_tables(trained, read):
    setup, state, cell = trained
    found = read(setup, state, "discretisation_gap", **SMALL)
    text = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"
    assert setup.space.encode(cell) == text
    assert found["gap_true"] == pytest.approx(float(setup.truth.accuracy[text].mean()))
    best = max(float(values.mean()) for values in setup.truth.accuracy.values())
    assert found["regret"] == pytest.approx(best - found["gap_true"])


def test_fine_tuning_is_descent_on_the_cell_on_a_copy(trained, read):
    setup, state, cell = trained
    before = copy.deepcopy(state.to_dict())
    found = read(setup, state, "discretisation_gap", **SMALL, finetune=2, lr=0.01)
    torch.testing.assert_close(state.to_dict(), before, rtol=0, atol=0)
    network = setup.space.network(cell, 1, 10, seed=9)
    network.inherit(state.supernet)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    for step in range(2 * setup.steps_per_epoch):
        batch = setup.batch("train", state.step + step)
        optimizer.zero_grad()
        F.cross_entropy(network(batch.images), batch.labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    assert found["gap_finetuned"] == pytest.approx(accuracy(network, setup), abs=2.2)  # an image
    assert found["gap_finetuned"] > found["gap_discrete"]


def test_random_cells_are_treated_alike(trained, read):
    """Their means, each by a network of its own; the same cells at every reading."""
    setup, state, _ = trained
    found = read(setup, state, "discretisation_gap", **SMALL, random=3)
    cells = setup.space.sample(3, generator("cpu", 0, "discretisation_gap", "random"))
    own = []
    for one in cells:
        network = setup.space.network(one, 1, 10, seed=9)
        network.inherit(state.supernet)
        own.append(accuracy(network, setup))
    assert found["gap_random"] == pytest.approx(sum(own) / 3)
    assert found["discrete_advantage"] == pytest.approx(found["gap_discrete"] - sum(own) / 3)
    assert "finetuned_advantage" not in found and "finetuned_drop" not in found
    state.step += 4
    assert read(setup, state, "discretisation_gap", **SMALL, random=3) == found


def test_the_advantage_is_zero_over_oneself(trained, read, monkeypatch):
    setup, state, cell = trained
    monkeypatch.setattr(type(setup.space), "sample", lambda self, count, draws: [cell] * count)
    found = read(setup, state, "discretisation_gap", **SMALL, random=2, finetune=1, lr=0.01)
    assert found["discrete_advantage"] == found["finetuned_advantage"] == 0
    assert found["gap_random_finetuned"] == found["gap_finetuned"] != found["gap_discrete"]
    assert found["finetuned_drop"] == pytest.approx(found["gap_soft"] - found["gap_finetuned"])


def test_fine_tuning_that_diverges_is_not_a_number_and_no_failure(trained, read):
    setup, state, _ = trained
    with torch.no_grad():
        state.supernet.head.classifier.weight.fill_(float("inf"))
    found = read(setup, state, "discretisation_gap", **SMALL, finetune=1)
    assert math.isnan(found["gap_finetuned"])


def test_entropy_is_one_where_nothing_is_decided_and_zero_where_all_is():
    assert relative_entropy(torch.full((6, 5), 0.2)) == pytest.approx(1)
    assert relative_entropy(torch.eye(5)) == 0
    assert relative_entropy(torch.full((6, 5), 0.7)) == pytest.approx(1)  # sigmoids: scaled
    assert relative_entropy(torch.tensor([[0.5, 0.5, 0, 0], [1, 0, 0, 0]])) == pytest.approx(0.5)
    uneven = torch.tensor([[0.5, 0.25, 0.25]])
    expected = (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)
    assert relative_entropy(uneven) == pytest.approx(expected)


def test_without_alpha_only_the_soft_supernet_is_read(searched, read):
    setup, state = searched("uniform_sampling", truth="analog")
    found = read(setup, state, "discretisation_gap", **SMALL, finetune=1, random=1)
    assert {"finetuned_advantage", "discrete_advantage", "gap_random_finetuned"} <= set(found)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"gap_soft"}


@pytest.mark.parametrize(
    "hypergradient", ["first_order", {"name": "stn", "in_loop": True, "pairs": 1}]
)
def test_a_fine_tuned_copy_does_not_move_the_search(small, hypergradient):
    """With an estimator that learns along too, whose state the copy has of its own."""
    ends = []
    for extra in ([], [{"name": "discretisation_gap", "finetune": 1, **SMALL}]):
        settings = small(instruments=extra, hypergradient=hypergradient)
        setup = build(settings, [registry.parse("variants", "skip_dropout")], 0)
        state = initial_state(setup)
        search(setup, state)
        ends.append(state)
    torch.testing.assert_close(
        *({k: v for k, v in s.to_dict().items() if k != "history"} for s in ends), rtol=0, atol=0
    )
