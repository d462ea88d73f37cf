"""Selection with tuning (DARTS-PT): criterion, order, tuning, and that it works on a copy."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

import bench.search.loop as loop
from bench.batches import plain_batches
from bench.contracts import registry
from bench.contracts.moment import Moment
from bench.search.composition import Composition
from bench.search.setup import build, initial_state
from bench.selection._projection import Projected


@pytest.fixture
def searched(small):
    def run(*variants, **changes):
        found = [registry.parse("variants", v) for v in variants]
        setup = build(small(**changes), found, seed=0)
        state = initial_state(setup)
        loop.search(setup, state)
        return setup, state

    return run


def rule(name, **parameters):
    return registry.parse("selection", {"name": name, **parameters})


def values(state):
    saved = state.to_dict()
    tensors = [*saved["supernet"].values(), *saved["architecture"].values()]
    for optimizer in ("weight_optimizer", "architecture_optimizer"):
        for entry in saved[optimizer]["state"].values():
            tensors += [v for v in entry.values() if isinstance(v, torch.Tensor)]
    rest = {k: saved[k] for k in ("step", "epoch", "memory", "history", "running")}
    return copy.deepcopy((tensors, rest))


@pytest.mark.parametrize("name", registry.names("selection"))
@pytest.mark.parametrize("variants", [[], ["uniform_sampling"], ["skip_dropout", "gdas"]])
def test_every_rule_leaves_the_state_alone_and_repeats_itself(name, variants, searched):
    setup, state = searched(*variants)
    fields = registry.load("selection", name).model_fields
    chosen = rule(name, **{k: v for k, v in {"epochs": 1, "k": 5}.items() if k in fields})
    (tensors, rest), stream = values(state), torch.get_rng_state()
    cell = chosen.select(setup, state)
    after, same = values(state)
    assert all(map(torch.equal, tensors, after)) and str(rest) == str(same)
    assert torch.equal(stream, torch.get_rng_state())
    assert cell == chosen.select(setup, state)
    assert len(cell) == 6 and all(0 <= operation < 5 for operation in cell)


def test_masking_decides_by_accuracy_then_by_loss(searched, monkeypatch):
    setup, state = searched()
    perturbation = rule("perturbation")
    mixture = setup.mixture(state)
    right = {0: (9, -1.0), 1: (4, -2.0), 2: (4, -5.0), 3: (8, -9.0), 4: (4, -3.0)}
    seen = []

    def score(self, setup, state, masked):
        ((edge, operation),) = (masked != mixture).nonzero().tolist()
        assert edge == 2 and masked[edge, operation] == 0  # no renormalising: one weight differs
        seen.append(operation)
        return right[operation]

    monkeypatch.setattr(type(perturbation), "_score", score)
    assert perturbation.strongest(setup, state, 2, [0, 1, 2, 3, 4]) == 2
    assert seen == [0, 1, 2, 3, 4]
    assert perturbation.strongest(setup, state, 2, [0, 1, 3]) == 1


def test_its_score_is_the_supernets_on_the_validation_half(searched):
    setup, state = searched()
    mixture = setup.mixture(state)
    right, minus_loss = rule("perturbation", batch=64)._score(setup, state, mixture)
    (batch,) = plain_batches(setup.data.valid, 64)
    with torch.no_grad():
        logits = state.supernet(batch.images, mixture)
    assert right == (logits.argmax(-1) == batch.labels).sum().item()
    loss = F.cross_entropy(logits, batch.labels, reduction="sum")
    assert -minus_loss == pytest.approx(loss.item(), rel=1e-5)


def test_decided_edges_are_one_hot_and_the_rest_as_before():
    space = registry.parse("spaces", "nb201")
    alpha = {"alpha": torch.randn(6, 5, generator=torch.Generator().manual_seed(0))}
    composition = Composition([Projected(decided={1: 3, 4: 0}, learns=True)], space)
    now = Moment(0, 0, 0, 1, 1, "weights", torch.device("cpu"))
    mixture = composition.mixture(alpha, now)
    assert mixture[1].tolist() == [0, 0, 0, 1, 0] and mixture[4].tolist() == [1, 0, 0, 0, 0]
    torch.testing.assert_close(mixture[[0, 2, 3, 5]], alpha["alpha"].softmax(-1)[[0, 2, 3, 5]])
    active = composition.active(alpha, now)
    assert active[1] == [3] and active[4] == [0] and len(active[0]) == 5


@pytest.mark.parametrize("learn_alpha", [True, False])
def test_tuning_runs_between_edges_at_its_own_rate(learn_alpha, searched, monkeypatch):
    setup, state = searched()
    rates, alphas, decided = [], [], []

    def weight_step(setup, state, plain=loop.weight_step):
        plain(setup, state)
        rates.append(state.weight_optimizer.param_groups[0]["lr"])
        alphas.append(state.architecture["alpha"].detach().clone())
        decided.append(len(setup.composition.variants[-1].decided))

    monkeypatch.setattr(loop, "weight_step", weight_step)
    rule("magnitude_finetuned", epochs=2, learn_alpha=learn_alpha).select(setup, state)
    per_edge = 2 * setup.steps_per_epoch
    assert decided == [n for n in range(1, 6) for _ in range(per_edge)]
    assert set(rates) == {0.0025}
    assert torch.equal(alphas[0], alphas[-1]) is not learn_alpha


def test_without_tuning_magnitude_is_argmax_in_any_order(searched):
    setup, state = searched()
    argmax = rule("argmax").select(setup, state)
    assert rule("magnitude_finetuned", epochs=0).select(setup, state) == argmax
    other = rule("magnitude_finetuned", epochs=0).select(replace(setup, seed=5), state)
    assert other == argmax


def test_argmax_leaves_out_what_it_is_told_to(searched):
    setup, state = searched()
    with torch.no_grad():
        state.architecture["alpha"].copy_(torch.tensor([5.0, 1, 2, 3, 4]).repeat(6, 1))
    assert rule("argmax").select(setup, state) == (0,) * 6
    assert rule("argmax", preset="darts").select(setup, state) == (4,) * 6
    without = rule("argmax", exclude=["none", "avg_pool_3x3"])
    assert without.select(setup, state) == (3,) * 6


def test_a_rule_chooses_only_among_what_still_competes(searched):
    setup, state = searched({"name": "operation_shrinking", "keep": [2], "warmup": 0})
    kept = state.memory["operation_shrinking"]
    for name in ("argmax", "perturbation", "magnitude_finetuned"):
        cell = rule(name, **({} if name == "argmax" else {"epochs": 0})).select(setup, state)
        assert all(operation in row for operation, row in zip(cell, kept, strict=True))
