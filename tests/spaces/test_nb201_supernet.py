"""The fast supernet equals the textbook, at one-hot mixtures the discretised network."""

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.spaces.nb201 import cells
from tests.spaces.textbook import TextbookSupernet

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


def build(affine, running, n=1, c=4):
    space = registry.parse(
        "spaces",
        {
            "name": "nb201",
            "channels": c,
            "cells": n,
            "affine": affine,
            "running_statistics": running,
        },
    )
    fast = space.supernet(3, 10, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    with (
        torch.no_grad()
    ):  # move affine parameters off their defaults, or a lost shift would not show
        for parameter in fast.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=generator)
    labels = torch.randint(10, (6,), generator=generator)
    alpha = torch.randn(6, 5, dtype=torch.float64, generator=generator).requires_grad_()
    return space, fast, images, labels, alpha


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("n", [1, 2])
def test_loss_and_every_gradient_equal_the_textbook(affine, running, n):
    _, fast, images, labels, alpha = build(affine, running, n)
    slow = TextbookSupernet(3, 10, 4, n, affine, running).double()
    slow.copy_from(fast)
    losses, alphas = [], []
    for net in (fast, slow):
        leaf = alpha.detach().clone().requires_grad_()
        loss = F.cross_entropy(net(images, leaf.softmax(-1)), labels)
        loss.backward()
        losses.append(loss.detach())
        alphas.append(leaf.grad)
    torch.testing.assert_close(*losses, **TOLERANCE)
    torch.testing.assert_close(*alphas, **TOLERANCE)
    assert alphas[0].abs().max() > 1e-4
    fast_grads = {name: p.grad for name, p in fast.named_parameters()}
    seen = 0
    for own, name, rows in slow.pairs(fast):
        theirs = fast_grads[name] if rows is None else fast_grads[name][rows]
        torch.testing.assert_close(own.grad, theirs, **TOLERANCE)
        seen += own.numel()
    assert seen == sum(p.numel() for p in fast.parameters())


def test_evaluation_with_running_statistics_equals_the_textbook():
    _, fast, images, _, alpha = build(affine=True, running=True)
    slow = TextbookSupernet(3, 10, 4, 1, True, True).double()
    slow.copy_from(fast)
    for net in (fast, slow):
        net(images, alpha.softmax(-1))
        net.eval()
    torch.testing.assert_close(
        fast(images, alpha.softmax(-1)), slow(images, alpha.softmax(-1)), **TOLERANCE
    )


def test_second_derivatives_equal_the_textbook():
    _, fast, images, labels, alpha = build(affine=False, running=False)
    slow = TextbookSupernet(3, 10, 4, 1).double()
    slow.copy_from(fast)
    hessians = []
    for net in (fast, slow):

        def loss(a, net=net):
            return F.cross_entropy(net(images, a.softmax(-1)), labels)

        hessians.append(torch.autograd.functional.hessian(loss, alpha.detach()).reshape(30, 30))
    torch.testing.assert_close(*hessians, rtol=1e-8, atol=1e-9)
    assert hessians[0].abs().max() > 1e-5


CELLS = [
    cells.decode(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
    ),
    cells.decode("|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"),
    cells.decode("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"),
    (1, 1, 1, 1, 1, 1),
    (4, 2, 3, 0, 4, 2),
    (3, 3, 3, 3, 3, 3),
]


@pytest.mark.parametrize("cell", CELLS, ids=cells.encode)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_one_hot_supernet_is_the_discretised_network(cell, affine, running):
    space, fast, images, *_ = build(affine, running)
    for _ in range(2 if running else 0):
        fast(images, torch.full((6, 5), 0.2, dtype=torch.float64))
    network = space.network(cell, 3, 10, seed=5).double()
    network.inherit(fast)
    one_hot = F.one_hot(torch.tensor(cell), 5).double()
    for train in (True, False) if running else (True,):
        states = [{k: v.clone() for k, v in m.state_dict().items()} for m in (fast, network)]
        fast.train(train), network.train(train)
        expected = network(images)
        torch.testing.assert_close(fast(images, one_hot), expected, **TOLERANCE)
        for module, state in zip((fast, network), states, strict=True):
            module.load_state_dict(state)
        torch.testing.assert_close(fast(images, one_hot, space.active(cell)), expected, **TOLERANCE)
        for module, state in zip((fast, network), states, strict=True):
            module.load_state_dict(state)


def test_full_size_has_the_published_number_of_weights():
    space = registry.parse("spaces", "nb201")
    weights = sum(p.numel() for p in space.supernet(3, 10, seed=0).parameters())
    assert 1.68e6 < weights < 1.70e6


def test_initial_weights_depend_on_the_seed_alone():
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
    torch.manual_seed(0)
    first = space.supernet(3, 10, seed=3).state_dict()
    torch.manual_seed(1)
    second, other = (
        space.supernet(3, 10, seed=3).state_dict(),
        space.supernet(3, 10, seed=4).state_dict(),
    )
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])
