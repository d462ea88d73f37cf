"""A step's passes as graphs: PyTorch's numbers and derivatives, where they apply, and nowhere else."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.contracts import registry
from bench.contracts.space import Supernet
from bench.kernels import inductor
from bench.kernels.inductor import Inductor
from bench.search.loop import search
from bench.search.setup import build, initial_state

SHAPE = (4, 3, 6, 6)
TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}


class Toy(Supernet):
    """Two operations on one edge, and weights that only one of them reaches."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(3, 4, 3, padding=1, bias=False) for _ in range(2))
        self.idle = nn.Parameter(torch.ones(2))
        self.head = nn.Linear(4, 5)

    def forward(self, images, mixture, active=None, hooks=None):
        x = F.relu(images)
        parts = [conv(x) * mixture[0, i] for i, conv in enumerate((self.first, self.second))]
        y = F.batch_norm(sum(parts), None, None, training=True)
        return self.head(F.silu(y).mean(dim=(2, 3)))


@pytest.fixture
def toy():
    torch.manual_seed(0)
    net = Toy().double()
    net.inductor = Inductor(net, SHAPE, backend="aot_eager")
    return net


def problem():
    draws = torch.Generator().manual_seed(1)
    images = torch.randn(SHAPE, generator=draws, dtype=torch.float64)
    labels = torch.randint(5, (len(images),), generator=draws)
    mixture = torch.rand(1, 2, generator=draws, dtype=torch.float64)
    return images, labels, mixture.requires_grad_()


def loss_of(net, images, labels, mixture, graph=True, weights=None):
    weights = weights or dict(net.named_parameters())
    run = net.inductor if graph else lambda x, m, w: torch.func.functional_call(net, w, (x, m))
    return F.cross_entropy(run(images, mixture, weights), labels)


@pytest.fixture
def walks(monkeypatch):
    """Count the backward passes that went by PyTorch's path."""
    seen, again = [], inductor._again
    monkeypatch.setattr(inductor, "_again", lambda *a: (seen.append(1), again(*a))[1])
    return seen


def assert_equal(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, **TOLERANCE)


@pytest.mark.parametrize("learned", ["weights", "mixture", "both"])
def test_loss_and_gradients_are_pytorchs(toy, walks, learned):
    images, labels, mixture = problem()
    if learned == "weights":
        mixture = mixture.detach()
    weights = {n: w.detach() for n, w in toy.named_parameters()} if learned == "mixture" else None
    wanted = [] if learned == "weights" else [mixture]
    wanted += [] if weights else list(toy.parameters())
    results = []
    for graph in (True, False):
        loss = loss_of(toy, images, labels, mixture, graph, weights)
        results.append([loss.detach(), *torch.autograd.grad(loss, wanted, allow_unused=True)])
    assert_equal(*results)
    assert not walks


def test_derivatives_of_derivatives_are_pytorchs(toy, walks):
    images, labels, mixture = problem()
    own = [p for n, p in toy.named_parameters() if n != "idle"]
    results = []
    for graph in (True, False):
        loss = loss_of(toy, images, labels, mixture, graph)
        first = torch.autograd.grad(loss, own, create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), [mixture, *own])
        hessian = torch.autograd.functional.hessian(
            lambda m, g=graph: loss_of(toy, images, labels, m, g), mixture.detach()
        )
        results.append([*first, *second, hessian])
    assert_equal(*results)
    assert walks and results[0][-1].abs().max() > 1e-3


def test_a_graph_that_is_kept_can_be_walked_again(toy, walks):
    images, labels, mixture = problem()
    loss = loss_of(toy, images, labels, mixture)
    found = [torch.autograd.grad(loss, mixture, retain_graph=keep) for keep in (True, True, False)]
    assert len(walks) == 2  # the last by the graph
    expected = torch.autograd.grad(loss_of(toy, images, labels, mixture, graph=False), mixture)
    for each in found:
        assert_equal(each, expected)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, mixture)


def test_many_gradients_at_once_are_pytorchs(toy):
    images, _, mixture = problem()
    directions = torch.eye(5, dtype=torch.float64)[:, None].expand(5, len(images), 5)
    results = []
    for run in (toy.inductor, lambda x, m, w: toy(x, m)):
        logits = run(images, mixture, dict(toy.named_parameters()))
        results.append(torch.autograd.grad(logits, [mixture], directions, is_grads_batched=True))
    assert_equal(*results)


def test_what_was_returned_is_its_own_memory(toy):
    """A graph's next run overwrites what it left: neither logits nor gradients may lie there."""
    images, _, mixture = problem()
    made, left = [], []

    def keep(gradient):
        left.append(gradient.clone())
        return left[-1]

    def recorded(*inputs):
        for leaf in inputs[1:]:
            leaf.register_hook(keep)
        made.append(toy.inductor.plain(*inputs))
        return made[-1]

    toy.inductor.compiled = recorded
    logits = toy.inductor(images, mixture, dict(toy.named_parameters()))
    assert logits.data_ptr() != made[0].data_ptr()
    wanted = [mixture, *toy.head.parameters()]
    found = torch.autograd.grad(logits.sum(), wanted)
    assert not {g.data_ptr() for g in found} & {g.data_ptr() for g in left}
    assert all(any(torch.equal(g, other) for other in left) for g in found)


def test_bfloat16_is_pytorchs_also_in_the_second_derivative(toy, walks):
    images, labels, mixture = problem()
    toy.float()
    images, mixture = images.float(), mixture.detach().float().requires_grad_()
    results = []
    for graph in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(toy, images, labels, mixture, graph)
        (first,) = torch.autograd.grad(loss, mixture, create_graph=True)
        results.append([loss.detach(), first.detach(), *torch.autograd.grad(first.sum(), mixture)])
    for mine, theirs, rounding in zip(*results, (1e-5, 1e-5, 0.03), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=rounding, atol=0)
    assert walks


def test_applies_to_plain_passes_within_an_update_only(toy):
    images, _, mixture = problem()
    graph = toy.inductor
    assert not graph.applies(images, mixture, None, None)
    with toy.step():
        assert graph.applies(images, mixture, None, None)
        assert not graph.applies(images[:2], mixture, None, None)
        assert not graph.applies(images, mixture, [[0]], None)
        assert not graph.applies(images, mixture, None, object())
        with torch.no_grad():
            assert not graph.applies(images, mixture, None, None)
        with torch.autograd.forward_ad.dual_level():
            assert not graph.applies(images, mixture, None, None)
        seen = []
        torch.func.grad(lambda m: (seen.append(graph.applies(images, m, None, None)), m.sum())[1])(
            mixture
        )
        assert seen == [False]
    assert not graph.applies(images, mixture, None, None)
    static = Inductor(toy, SHAPE, active=((0, 1),), backend="aot_eager")
    with static.step():
        assert static.applies(images, mixture, [[0, 1]], None)
        assert not static.applies(images, mixture, None, None)


def test_copies_of_a_supernet_share_its_graphs(toy):
    assert copy.deepcopy(toy).inductor is toy.inductor


def test_running_statistics_stay_in_pytorch(small):
    space = {"name": "nb201", "channels": 4, "cells": 1, "running_statistics": True}
    _, state = begun(small, space=space, kernel="inductor")
    assert state.supernet.kernel == "torch"


def begun(small, variants=(), **changes):
    setup = build(small(instruments=[], **changes), list(variants), seed=0)
    return setup, initial_state(setup)


@pytest.fixture
def counted(monkeypatch):
    """Let graphs be made without code generation, and count the forward passes that they run."""
    seen, forward = [], inductor._Passes.forward
    monkeypatch.setattr(
        inductor._Passes, "forward", staticmethod(lambda *a: (seen.append(1), forward(*a))[1])
    )
    monkeypatch.setattr(Inductor.__init__, "__defaults__", (None, "aot_eager"))
    return seen


def run(setup, state):
    kept = []
    search(setup, state, after_epoch=lambda s: kept.append(copy.deepcopy(s.to_dict())))
    return kept


def test_a_search_is_pytorchs_and_resumes_bit_for_bit(small, counted):
    setup, state = begun(small, kernel="inductor")
    assert state.supernet.kernel == "inductor"
    first, last = run(setup, state)
    assert len(counted) == 2 * state.step and first["inductor"]

    other_setup, other = begun(small, kernel="torch")
    run(other_setup, other)
    torch.testing.assert_close(
        state.architecture["alpha"], other.architecture["alpha"], rtol=0, atol=1e-4
    )

    _, again = begun(small, kernel="inductor")
    again.load_dict(first)
    again.supernet.inductor = state.supernet.inductor  # its graphs are there already
    (end,) = run(setup, again)
    assert torch.equal(end["architecture"]["alpha"], last["architecture"]["alpha"])
    for name, value in end["supernet"].items():
        assert torch.equal(value, last["supernet"][name])


def test_a_search_keeps_the_arithmetic_that_it_began_with(small):
    _, state = begun(small, kernel="torch")
    saved = state.to_dict()
    _, other = begun(small, kernel="inductor")
    other.load_dict(saved)
    assert other.supernet.kernel == "torch"


@pytest.mark.parametrize("variant", ["skip_dropout", "uniform_sampling"])
def test_variants_that_act_inside_cells_or_choose_operations_run_in_pytorch(
    small, counted, variant
):
    ends = []
    for kernel in ("inductor", "torch"):
        setup, state = begun(small, [registry.parse("variants", variant)], kernel=kernel)
        run(setup, state)
        ends.append(state.architecture["alpha"].detach())
    assert torch.equal(*ends) and not counted


@pytest.mark.stress
@pytest.mark.parametrize("space", ["nb201", "darts"])
def test_code_generated_for_the_cpu_agrees_to_rounding(space):
    """Inductor itself, without CUDA graphs: minutes of compilation."""
    sizes = {"nb201": {"channels": 4, "cells": 1}, "darts": {"channels": 4, "layers": 3}}
    built = registry.parse("spaces", {"name": space, **sizes[space]})
    net = built.supernet(3, 10, seed=0).double()
    net.inductor = Inductor(net, (4, 3, 8, 8), built.candidates())
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 8, 8, generator=draws, dtype=torch.float64)
    labels = torch.randint(10, (4,), generator=draws)
    size = (len(built.edges), len(built.operations))
    mixture = torch.rand(size, generator=draws, dtype=torch.float64)
    for learned in (mixture, mixture.clone().requires_grad_()):
        weights = (
            {n: w.detach() for n, w in net.named_parameters()} if learned.requires_grad else None
        )
        wanted = [learned] if weights else list(net.parameters())
        results = []
        for graph in (True, False):
            loss = loss_of(net, images, labels, learned, graph, weights)
            results.append([loss.detach(), *torch.autograd.grad(loss, wanted, allow_unused=True)])
        assert_equal(*results)
