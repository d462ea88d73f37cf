"""Operation-level early stopping in a search: what is frozen stays, momentum and all."""

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.search.loop import search, weight_step
from bench.search.setup import build, initial_state


def started(small, threshold, window=1, unused="decay", **changes):
    variant = registry.parse("variants", {"name": "oles", "threshold": threshold, "window": window})
    changes.setdefault("search", {"epochs": 2, "batch": 32, "weights": {"unused": unused}})
    setup = build(small(instruments=[], **changes), [variant], seed=0)
    return setup, initial_state(setup)


@pytest.mark.parametrize("unused", ["decay", "leave"])
def test_where_no_cosine_is_enough_all_operations_keep_their_weights(small, unused):
    setup, state = started(small, 1.0, unused=unused)
    stacked = {id(weight) for weight, _ in state.supernet.portions()}
    before = {name: w.detach().clone() for name, w in state.supernet.named.items()}
    search(setup, state)
    for name, weight in state.supernet.named.items():
        assert torch.equal(weight, before[name]) is (id(weight) in stacked), name
    assert len(state.memory["oles"]["frozen"]) == len(list(state.supernet.operations()))
    assert state.history[-1]["frozen_operations"] == len(state.memory["oles"]["frozen"])


def test_only_what_parted_is_held_and_it_is_not_in_the_clipped_norm(small):
    setup, state = started(small, 0.4, window=10)
    operations = list(state.supernet.operations())
    state.memory["oles"] = {"frozen": [3], "sums": [0.0] * len(operations), "steps": 0}
    before = [weight[rows].detach().clone() for own in operations for weight, rows in own]
    weight_step(setup, state)
    after = [weight[rows] for own in operations for weight, rows in own]
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [i == 3 for i in range(len(operations))]
    weight, rows = operations[3][0]
    assert not weight.grad[rows].any()


def test_the_window_is_averaged_and_begins_anew(small):
    setup, state = started(small, 0.4, window=3)
    own = list(state.supernet.operations())
    cosines = []
    for step in range(4):
        moment = setup.moment(state, "architecture")
        batch = setup.batch("valid", state.step)
        weights = list(state.supernet.named.values())
        with torch.enable_grad():
            logits = setup.logits(state, moment, batch, setup.mixture(state), pure=True)
            valid = torch.autograd.grad(
                F.cross_entropy(logits, batch.labels), weights, allow_unused=True
            )
            batch = setup.batch("train", state.step)
            logits = setup.logits(state, moment, batch, setup.mixture(state), pure=True)
            train = torch.autograd.grad(
                F.cross_entropy(logits, batch.labels), weights, allow_unused=True
            )
        places = {id(w): i for i, w in enumerate(weights)}
        ((weight, rows),) = own[0]
        a, b = (g[places[id(weight)]][rows].flatten() for g in (train, valid))
        cosines.append(float(F.cosine_similarity(a, b, dim=0)))
        weight_step(setup, state)
        state.step += 1
        state.epoch = state.step // setup.steps_per_epoch
        memory = state.memory["oles"]
        expected = [sum(cosines[: step + 1]), 0.0, cosines[3] if step == 3 else 0.0]
        total = expected[0] if step < 2 else expected[1] if step == 2 else expected[2]
        assert memory["sums"][0] == pytest.approx(total, abs=1e-4)
        assert memory["steps"] == (step + 1) % 3
        if step < 2:
            assert memory["frozen"] == []
        else:
            assert (0 in memory["frozen"]) is (sum(cosines[:3]) / 3 < 0.4)


def test_all_weights_of_an_operation_go_together(small):
    """A separable convolution has four tensors, a dilated one two, in the DARTS space."""
    supernet = registry.parse("spaces", {"name": "darts", "channels": 4, "layers": 3}).supernet(
        1, 10, 0
    )
    counts = sorted(len(own) for own in supernet.operations())
    assert set(counts) >= {2, 4}
    edges = 14
    assert counts.count(4) == 3 * edges * 2  # two kernel sizes, three cells
    flat = [(id(w), rows.start) for own in supernet.operations() for w, rows in own]
    assert len(flat) == len(set(flat))
