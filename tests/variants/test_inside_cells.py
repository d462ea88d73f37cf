"""Variants that act inside cells, each against its formula computed by hand."""

import math

import pytest
import torch

from bench.contracts import registry
from bench.search.composition import Composition
from bench.spaces.nb201.mixed_cell import MixedCell, shuffle

SPACE = registry.parse("spaces", {"name": "nb201", "channels": 8, "cells": 1})


def hooks(at, *variants, architecture=None, **when):
    found = [registry.parse("variants", v) for v in variants]
    return Composition(found, SPACE).hooks(architecture or {"alpha": torch.zeros(6, 5)}, at(**when))


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_edge_drop_path_zeroes_whole_images_and_keeps_the_mean(at):
    variant = {"name": "edge_drop_path", "rate": 0.6}
    bound = hooks(at, variant, epoch=24.5)  # p = 0.6·24.5/49 = 0.3
    y = torch.ones(4000, 2, 3, 3)
    dropped = bound.edge(y, y, cell=0, edge=0)
    per_image = dropped.flatten(1)
    assert torch.equal(per_image.min(1).values, per_image.max(1).values)
    assert (per_image[:, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert per_image.max().item() == pytest.approx(1 / 0.7)
    assert not torch.equal(dropped, bound.edge(y, y, cell=0, edge=1))
    for when in ({"epoch": 0}, {"epoch": 49, "phase": "evaluate"}):
        assert torch.equal(hooks(at, variant, **when).edge(y, y, cell=0, edge=0), y)
    last = registry.parse("variants", variant).probability(at(epoch=49))
    assert last == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("decay", "epoch", "beta"),
    [
        ("linear", 0, 1.0),
        ("linear", 10, 0.8),
        ("linear", 50, 0.0),
        ("cosine", 25, 0.5),
        ("cosine", 10, 0.5 * (1 + math.cos(math.pi / 5))),
    ],
)
def test_darts_minus_adds_beta_times_the_input(at, decay, epoch, beta):
    y, x = images(2, 8, 4, 4), images(2, 8, 4, 4, seed=1)
    bound = hooks(at, {"name": "darts_minus", "decay": decay}, epoch=epoch)
    torch.testing.assert_close(bound.edge(y, x, cell=0, edge=3), y + beta * x)


def test_norm_on_weight_free_gives_every_channel_mean_zero_and_deviation_one(at):
    bound = hooks(at, "norm_on_weight_free")
    assert {SPACE.operations[o] for o in bound.touched} == {"skip_connect", "avg_pool_3x3"}
    y = 3 + 5 * images(16, 8, 6, 6)
    out = bound.operation(y, cell=0, edge=0, operation=1)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var((0, 2, 3), unbiased=False), torch.ones(8), atol=1e-4, rtol=0)
    pools = hooks(at, {"name": "norm_on_weight_free", "preset": "paper"})
    assert torch.equal(pools.operation(y, cell=0, edge=0, operation=1), y)
    assert not torch.equal(pools.operation(y, cell=0, edge=0, operation=4), y)


def test_noise_replaces_the_skip_always_and_is_added_in_updates_only(at):
    y = 100 * torch.ones(50, 8, 10, 10)
    replaced = {"name": "noise_for_skip", "mean": 1.0, "std": 2.0}
    for phase in ("weights", "evaluate"):
        noise = hooks(at, replaced, phase=phase).operation(y, cell=0, edge=0, operation=1)
        assert noise.mean().item() == pytest.approx(1.0, abs=0.05)
        assert noise.std().item() == pytest.approx(2.0, abs=0.05)
    y = 3 * images(50, 8, 10, 10)
    for preset, deviation in (("a", 0.6), ("c", 0.2**0.5)):  # 0.2 of 3; a variance of 0.2
        added = {"name": "noisy_darts", "preset": preset}
        noise = hooks(at, added).operation(y, cell=0, edge=0, operation=1) - y
        assert noise.mean().item() == pytest.approx(0.0, abs=0.02)
        assert noise.std().item() == pytest.approx(deviation, rel=0.02)
        bound = hooks(at, added, phase="evaluate")
        assert torch.equal(bound.operation(y, cell=0, edge=0, operation=1), y)


def test_partial_channels_mixes_a_quarter_bypasses_the_rest_and_weighs_edges(at):
    # A mixture of skips only makes the convolution-free cell computable by hand.
    beta = torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.2])
    cell = MixedCell(8, False, False, partial=4)
    mixture = torch.zeros(6, 5)
    mixture[:, 1] = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    architecture = {"alpha": torch.zeros(6, 5), "beta": beta}
    bound = hooks(at, "partial_channels", architecture=architecture)
    x = images(2, 8, 4, 4)

    def edge(x, e, share):
        mixed = mixture[e, 1] * x[:, :2]
        return share * shuffle(torch.cat([mixed, x[:, 2:]], 1), 4)

    into = {1: [0], 2: [1, 2], 3: [3, 4, 5]}
    shares = torch.cat([beta[edges].softmax(0) for edges in into.values()])
    first = edge(x, 0, shares[0])
    second = edge(x, 1, shares[1]) + edge(first, 2, shares[2])
    output = edge(x, 3, shares[3]) + edge(first, 4, shares[4]) + edge(second, 5, shares[5])
    with torch.no_grad():
        found = cell(x, mixture, [[1]] * 6, bound, 0)
    torch.testing.assert_close(found, output)
    assert shares[0] == 1 and shares[1] + shares[2] == pytest.approx(1)


def test_shuffle_interleaves_and_can_be_left_out():
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert shuffle(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    cell = MixedCell(8, False, False, partial=4, shuffled=False)
    mixture = torch.zeros(6, 5)
    mixture[3, 1] = 2.0  # the edge from input to output alone
    with torch.no_grad():
        y = cell(x, mixture, [[], [], [], [1], [], []], None, 0)
    assert y.flatten().tolist()[:2] == [0.0, 2.0]


def test_fewer_channels_than_built_equals_a_network_built_so():
    generator = torch.Generator().manual_seed(0)
    wide, narrow = MixedCell(8, True, True, partial=2), MixedCell(8, True, True, partial=4)
    with torch.no_grad():
        for part in (*wide.parameters(), *(b for b in wide.buffers())):
            part.copy_(torch.rand(part.shape, generator=generator))
        for one, other in zip(
            [*wide.conv1, *wide.conv3], [*narrow.conv1, *narrow.conv3], strict=True
        ):
            for e in range(len(one.edges)):
                mine, theirs = slice(4 * e, 4 * e + 2), slice(2 * e, 2 * e + 2)
                other.weight[theirs] = one.weight[mine, :2]
                for name in ("scale", "shift", "running_mean", "running_var"):
                    getattr(other, name)[theirs] = getattr(one, name)[mine]
    x, mixture = images(3, 8, 5, 5), torch.rand(6, 5, generator=generator)

    class Quarter:
        touched, edges, partial = frozenset(), False, 4

    with torch.no_grad():
        torch.testing.assert_close(
            wide(x, mixture, None, Quarter(), 0), narrow(x, mixture, None, None, 0)
        )
        stats = wide.conv3[0].running_mean[4:6], narrow.conv3[0].running_mean[2:4]
    torch.testing.assert_close(*stats)
