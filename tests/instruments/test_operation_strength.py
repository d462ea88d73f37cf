"""Operation strength against masking by hand on the textbook supernet, and hand-set worths."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.batches import plain_batches
from bench.contracts import registry
from bench.instruments.operation_strength import agreement
from tests.spaces.textbook import TextbookSupernet

NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")


class ByHand:
    """Accuracy and minus the loss of the naive supernet, every operation run."""

    def __init__(self, setup, state):
        self.naive = TextbookSupernet(1, 10, 4, 1)
        self.naive.copy_from(state.supernet)
        (self.batch,) = plain_batches(setup.data.valid, 64)
        self.mixture = setup.mixture(state)

    @torch.no_grad()
    def __call__(self, edge=0, row=None):
        weights = self.mixture.clone()
        if row is not None:
            weights[edge] = torch.tensor(row)
        logits = self.naive(self.batch.images, weights)
        right = (logits.argmax(-1) == self.batch.labels).float().mean().item()
        return np.array([100 * right, -F.cross_entropy(logits, self.batch.labels).item()])

    def without(self, edge, *operations):
        row = self.mixture[edge].tolist()
        return self(edge, [0.0 if o in operations else p for o, p in enumerate(row)])

    def only(self, edge, operation, weight):
        return self(edge, [weight if o == operation else 0.0 for o in range(5)])


@pytest.mark.parametrize(("alone", "pairs"), [("whole", None), ("own", 0)])
def test_strengths_are_those_of_masking_by_hand(searched, read, alone, pairs):
    setup, state = searched(search={"epochs": 2, "batch": 32})
    found = read(setup, state, "operation_strength", pairs=pairs, alone=alone)
    score = ByHand(setup, state)
    whole, D, I, both = score(), {}, {}, []  # noqa: E741
    for e in range(6):
        empty = score.without(e, 1, 2, 3, 4)
        for o in range(1, 5):
            D[e, o] = whole - score.without(e, o)
            weight = 1.0 if alone == "whole" else float(score.mixture[e, o])
            I[e, o] = score.only(e, o, weight) - empty
            edge = f"strength_at_{EDGES[e]}_{NAMES[o]}"
            assert found[f"{edge}_masked"] == pytest.approx(D[e, o][1], abs=2e-5)
            assert found[f"{edge}_alone"] == pytest.approx(I[e, o][1], abs=2e-5)
        for a, b in itertools.combinations(range(1, 5), 2) if pairs is None else ():
            both.append(whole - score.without(e, a, b) - D[e, a] - D[e, b])
    for i, suffix in enumerate(("", "_loss")):
        for name, own in (("masked", D), ("alone", I)):
            expected = np.mean([value[i] for value in own.values()])
            assert found[f"strength_{name}{suffix}"] == pytest.approx(expected, abs=2e-5)
        expected = np.mean([value[i] for value in both]) if both else math.nan
        assert found[f"strength_interaction{suffix}"] == pytest.approx(
            expected, abs=5e-5, nan_ok=True
        )
    assert abs(found["strength_masked"]) > 0.1  # something is there to be lost
    tau = [
        kendall(
            score.mixture[e, 1:].tolist(),
            [D[e, o][1] for o in range(1, 5)],
            float(score.mixture[e, 0]),
        )
        for e in range(6)
    ]
    assert found["strength_tau_masked_loss"] == pytest.approx(np.mean(tau))


def kendall(weights, worth, weight_of_none):
    """Concordant minus discordant over pairs, where nothing is tied; `none` is worth 0."""
    x, y = [weight_of_none, *weights], [0.0, *worth]
    signs = [
        np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in itertools.combinations(range(5), 2)
    ]
    return np.mean(signs)


def test_agreement_is_the_mean_over_edges_of_tau_b():
    mixture = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0.25] * 4])
    worth = {
        **{(0, o): np.array([float(o), 0.0]) for o in (1, 2, 3)},  # 0 (none) 1 2 3: τ = 1
        **{(1, o): np.array([-float(o), 0.0]) for o in (1, 2, 3)},  # reversed: τ = −1
        **{(2, o): np.array([float(o), 0.0]) for o in (1, 2, 3)},  # equal weights: undefined
    }
    everything = [[0, 1, 2, 3]] * 3
    assert agreement(mixture, everything, worth, 0) == pytest.approx(0)
    assert agreement(mixture, [[0, 1, 2, 3], [3], [0, 1]], worth, 0) == pytest.approx(1)
    assert math.isnan(agreement(mixture, everything, worth, 1))  # nothing is worth anything
    # (0.1, 0.2, 0.3, 0.4) with (0, 1, 1, 2): five concordant pairs, one tie: 5/√(6·5).
    worth[0, 2] = worth[0, 1]
    worth[0, 3] = np.array([2.0, 0.0])
    tied = agreement(mixture, [[0, 1, 2, 3], [3], [3]], worth, 0)
    assert tied == pytest.approx(5 / math.sqrt(30))


def test_an_operation_that_gives_nothing_is_worth_nothing(searched, read):
    """With a filter of zeros batch norm gives zeros, and `none` is not even run."""
    setup, state = searched()
    with torch.no_grad():
        for block in state.supernet.blocks:
            if hasattr(block, "conv3"):
                for merged in block.conv3:
                    merged.weight.zero_()
    found = read(setup, state, "operation_strength", pairs=0)
    for edge in EDGES:
        for kind in ("masked", "alone"):
            assert found[f"strength_at_{edge}_nor_conv_3x3_{kind}"] == pytest.approx(0, abs=1e-6)
    assert abs(found["strength_at_2_3_skip_connect_masked"]) > 1e-4
    assert not any("none" in name for name in found)
    assert math.isnan(found["strength_interaction"])


@pytest.mark.parametrize("pairs", [0, 2, 9])
def test_pairs_are_drawn_once(searched, read, pairs):
    setup, state = searched()
    instrument = registry.parse("instruments", {"name": "operation_strength", "pairs": pairs})
    drawn = instrument._pairs(setup, 3, [1, 2, 3, 4])
    assert len(set(drawn)) == len(drawn) == min(pairs, 6)
    state.epoch += 7
    assert drawn == instrument._pairs(setup, 3, [1, 2, 3, 4])
    assert instrument._pairs(setup, 3, [2]) == []


def test_without_alpha_there_is_strength_but_no_agreement(searched, read):
    setup, state = searched("uniform_sampling")
    found = read(setup, state, "operation_strength")
    assert {name for name, value in found.items() if math.isnan(value)} == {
        f"strength_tau_{kind}{suffix}" for kind in ("masked", "alone") for suffix in ("", "_loss")
    }
