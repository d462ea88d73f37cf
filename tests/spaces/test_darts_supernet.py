"""The fast DARTS supernet equals the textbook, at one-hot mixtures the discretised network."""

import pytest
import torch
from torch.nn import functional as F

from bench.contracts import registry
from bench.spaces.darts.merged_operations import pool, reproducible_max_pool
from tests.spaces.darts_textbook import TextbookSupernet

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
RAGGED = (("skip_connect", "dil_conv_5x5"), ("max_pool_3x3", "sep_conv_3x3"), ("avg_pool_3x3",))


def build(combine="concat", running=False, layers=4, nodes=2, **fields):
    space = registry.parse(
        "spaces",
        {
            "name": "darts",
            "channels": 4,
            "layers": layers,
            "nodes": nodes,
            "combine": combine,
            "running_statistics": running,
            **fields,
        },
    )
    fast = space.supernet(3, 10, seed=0).double()
    slow = TextbookSupernet(
        3,
        10,
        4,
        layers,
        nodes,
        space.operations,
        [[space.operations[o] for o in own] for own in space.present],
        combine,
        running,
    ).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # move affine parameters off their defaults
        for parameter in (fast.stem.norm.weight, fast.stem.norm.bias):
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    slow.copy_from(fast)
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=generator)
    labels = torch.randint(10, (4,), generator=generator)
    alpha = torch.randn(
        len(space.edges), len(space.operations), dtype=torch.float64, generator=generator
    )
    if space.candidates() is not None:
        out = torch.ones_like(alpha, dtype=torch.bool)
        for edge, own in enumerate(space.present):
            out[edge, own] = False
        alpha = alpha.masked_fill(out, -torch.inf)
    return space, fast, slow, images, labels, alpha


CASES = {
    "full": {},
    "sum": {"combine": "sum"},
    "running": {"running": True},
    "s2": {"preset": "s2"},
    "s3": {"preset": "s3", "layers": 3},
    "dilated": {"operations": ["dil_conv_5x5", "none", "avg_pool_3x3"]},
    "pools": {"operations": ["max_pool_3x3", "skip_connect"], "layers": 3},
    "ragged": {
        "operations": [
            "skip_connect",
            "dil_conv_5x5",
            "max_pool_3x3",
            "sep_conv_3x3",
            "avg_pool_3x3",
        ],
        "per_edge": [*RAGGED, *RAGGED, *RAGGED, RAGGED[0]],
    },
    "s1": {"preset": "s1", "nodes": 4, "layers": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_every_gradient_equal_the_textbook(case):
    space, fast, slow, images, labels, alpha = build(**CASES[case])
    losses, alphas = [], []
    for net in (fast, slow):
        leaf = alpha.clone().requires_grad_()
        mixture = leaf.softmax(-1)
        logits = net(images, mixture, space.candidates()) if net is fast else net(images, mixture)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        losses.append(loss.detach())
        alphas.append(leaf.grad)
    torch.testing.assert_close(*losses, **TOLERANCE)
    torch.testing.assert_close(*alphas, **TOLERANCE)
    assert alphas[0].abs().max() > 1e-4
    seen = 0
    nothing = {p: torch.zeros_like(p) for p in fast.parameters()}
    for mine, theirs in slow.pairs(fast, lambda p: p):
        assert torch.equal(mine, theirs)
    for own, theirs in slow.pairs(fast, lambda p: p.grad if p.grad is not None else nothing[p]):
        grad = own.grad if own.grad is not None else torch.zeros_like(own)
        torch.testing.assert_close(grad, theirs, **TOLERANCE)
        seen += own.numel()
    assert seen == sum(p.numel() for p in fast.parameters())


def test_evaluation_with_running_statistics_equals_the_textbook():
    _, fast, slow, images, _, alpha = build(running=True)
    for net in (fast, slow):
        for _ in range(2):
            net(images, alpha.softmax(-1))
        net.eval()
    torch.testing.assert_close(
        fast(images, alpha.softmax(-1)), slow(images, alpha.softmax(-1)), **TOLERANCE
    )


def test_second_derivatives_equal_the_textbook():
    _, fast, slow, images, labels, alpha = build(layers=3, preset="s2")
    hessians = []
    for net in (fast, slow):

        def loss(a, net=net):
            return F.cross_entropy(net(images, a.softmax(-1)), labels)

        hessians.append(torch.autograd.functional.hessian(loss, alpha))
    torch.testing.assert_close(*hessians, rtol=1e-8, atol=1e-9)
    assert hessians[0].abs().max() > 1e-5


@pytest.mark.parametrize(
    ("combine", "running"), [("concat", False), ("sum", False), ("concat", True)]
)
def test_one_hot_supernet_is_the_discretised_network(combine, running):
    space, fast, _, images, _, alpha = build(combine, running, layers=3)
    draws = torch.Generator().manual_seed(3)
    for _ in range(2 if running else 0):
        fast(images, alpha.softmax(-1))
    used = set()
    for cell in space.sample(8, draws):
        used |= set(cell)
        network = space.network(cell, 3, 10, seed=5).double()
        network.inherit(fast)
        one_hot = space.one_hot(cell).double()
        for train in (True, False) if running else (True,):
            states = [{k: v.clone() for k, v in m.state_dict().items()} for m in (fast, network)]
            fast.train(train), network.train(train)
            expected = network(images)
            for active in (None, space.active(cell)):
                torch.testing.assert_close(fast(images, one_hot, active), expected, **TOLERANCE)
                fast.load_state_dict(states[0])
            network.load_state_dict(states[1])
        if not running:
            ((_, shared),) = fast.paths(images, [cell])
            torch.testing.assert_close(shared, expected, **TOLERANCE)
    assert used == {-1, *range(1, 8)}


@torch.no_grad()
def test_statistics_of_the_first_rows_normalise_all():
    space, fast, _, images, _, alpha = build(running=True)
    one_hot = space.one_hot(space.sample(1, torch.Generator().manual_seed(0))[0]).double()
    for mixture in (alpha.softmax(-1), one_hot):
        plain = [b.clone() for b in fast.buffers()]
        with fast.statistics_from(3):
            mixed = fast(images, mixture)
            same = fast(torch.cat([images[:3], images[3:] * 9]), mixture)
        torch.testing.assert_close(mixed[:3], same[:3], **TOLERANCE)
        assert all(torch.equal(a, b) for a, b in zip(plain, fast.buffers(), strict=True))


def test_initial_weights_depend_on_the_seed_alone():
    space = registry.parse("spaces", {"name": "darts", "channels": 4, "layers": 3, "nodes": 2})
    torch.manual_seed(0)
    first = space.supernet(3, 10, seed=3).state_dict()
    torch.manual_seed(1)
    second, other = (space.supernet(3, 10, seed=s).state_dict() for s in (3, 4))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


@pytest.mark.parametrize("stride", [1, 2])
def test_reproducible_max_pooling_is_max_pooling(stride):
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64).requires_grad_()
    ways = (lambda x: pool(x, "max_pool_3x3", stride), lambda x: reproducible_max_pool(x, stride))
    outputs = [way(x) for way in ways]
    assert torch.equal(*outputs)
    upstream = torch.randn_like(outputs[0])
    torch.testing.assert_close(*[torch.autograd.grad(y, x, upstream)[0] for y in outputs])


def test_partial_channels_bypass_and_are_shuffled():
    space = registry.parse("spaces", {"name": "darts", "channels": 8, "layers": 3, "nodes": 2})
    images = torch.randn(2, 3, 8, 8)
    mixture = torch.zeros(len(space.edges), 8)  # nothing is mixed in: what is left is the bypass
    plain = space.supernet(3, 10, 0, partial=4, shuffled=False)
    x = torch.randn(2, 24, 8, 8)
    out = plain.cells[0](x, x, mixture, None, None, 0)
    first, second = out[:, :8], out[:, 8:]
    inputs = sum(part(x)[:, 2:] for part in plain.cells[0].preprocess)
    assert torch.equal(first[:, :2], torch.zeros_like(first[:, :2]))
    torch.testing.assert_close(first[:, 2:], inputs)
    torch.testing.assert_close(second[:, 2:], inputs + first[:, 2:])
    shuffled = space.supernet(3, 10, 0, partial=4, shuffled=True)
    torch.testing.assert_close(
        shuffled.cells[0](x, x, mixture, None, None, 0)[:, :8],
        first.view(2, 4, 2, 8, 8).transpose(1, 2).reshape(2, 8, 8, 8),
    )
    assert shuffled(images, mixture).shape == (2, 10)
    with pytest.raises(ValueError, match="cannot be split into 3"):
        space.supernet(3, 10, 0, partial=3)


def test_images_that_cannot_be_halved_are_refused():
    space = registry.parse("spaces", {"name": "darts", "channels": 2, "layers": 3, "nodes": 1})
    with pytest.raises(ValueError, match="not divisible by 4"):
        space.supernet(1, 10, 0)(torch.randn(2, 1, 10, 10), torch.ones(4, 8))


def test_noise_without_a_search_to_draw_it_is_refused():
    space = registry.parse("spaces", {"name": "darts", "preset": "s4", "channels": 2, "layers": 3})
    with pytest.raises(ValueError, match="hooks"):
        space.supernet(1, 10, 0)(torch.randn(2, 1, 8, 8), torch.ones(28, 2))
