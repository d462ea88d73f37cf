"""The contract of the seam, run against everything registered."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.contracts import registry
from bench.contracts.hypergradient import Hypergradient, InnerStep, Problem

from .problems import flat, images, network

NAMES = registry.names("hypergradients")
INNER = InnerStep(lr=0.1, momentum=0.9, nesterov=True, weight_decay=3e-4, clip=5.0)


def make(name: str) -> Hypergradient:
    return registry.load("hypergradients", name)()  # type: ignore[no-any-return]


def run(name: str, problem: Problem, dtype: torch.dtype = torch.float64) -> Any:
    member = make(name)
    *train, valid = images(member.horizon + 1, dtype=dtype)
    return member.estimate(problem, train, valid)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_changed(name: str) -> None:
    """Weights, momentum, λ, their .grad and every global RNG are as before, bit for bit."""
    problem = network(INNER)
    groups: dict[str, dict[str, Tensor]] = {
        "weights": problem.weights,
        "momentum": problem.momentum,
        "architecture": problem.architecture,
    }
    before = {
        (group, key): (value.detach().clone(), value.data_ptr(), value._version)
        for group, tensors in groups.items()
        for key, value in tensors.items()
    }
    rngs = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    run(name, problem)
    assert torch.equal(rngs[0], torch.get_rng_state())
    assert rngs[1:] == (random.getstate(), repr(np.random.get_state()))  # noqa: NPY002
    for (group, key), (value, pointer, version) in before.items():
        now = groups[group][key]
        assert torch.equal(value, now) and now.data_ptr() == pointer, (group, key)
        assert now._version == version, f"{group} {key} was written to and restored"
        assert now.grad is None
        assert now.requires_grad == (group != "momentum")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", NAMES)
def test_same_in_same_out(name: str) -> None:
    """Whatever the global RNG is at, and on CPU bit for bit."""
    problem = network(INNER)
    torch.manual_seed(1)
    first = run(name, problem)
    torch.manual_seed(2)
    second = run(name, problem)
    assert torch.equal(flat(first.total), flat(second.total))
    assert first.flags == second.flags


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_is_returned(name: str, dtype: torch.dtype) -> None:
    """Shapes, dtype and names of λ; no graph attached; zero where λ has no influence."""
    problem = network(INNER, dtype=dtype)
    estimate = run(name, problem, dtype)
    assert list(estimate.direct) == list(problem.architecture)
    assert list(estimate.implicit) in ([], list(problem.architecture))
    for part in (estimate.direct, estimate.implicit, estimate.total):
        for key, value in part.items():
            assert value.shape == problem.architecture[key].shape
            assert value.dtype == dtype
            assert not value.requires_grad
            assert bool(torch.isfinite(value).all())
    # The response of `stn` is fitted with finite perturbations, which leak at O(scale²).
    leak = 0.05 * float(flat(estimate.total).norm()) if name == "stn" else 0.0
    assert float(estimate.total["unused"].norm()) <= leak
    assert all(isinstance(value, float) for value in estimate.flags.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_number_of_batches_is_refused(name: str) -> None:
    member = make(name)
    if member.horizon == 0:
        return
    *train, valid = images(member.horizon)
    with pytest.raises(ValueError, match="training batches"):
        member.estimate(network(INNER), train, valid)


@pytest.mark.parametrize("name", NAMES)
def test_described(name: str) -> None:
    """`bench list` and `bench show` have something to show; the docstring names its cost."""
    member = make(name)
    assert type(member).paper and member.time and member.memory
    assert "ost" in (type(member).__doc__ or "")
    assert registry.parse("hypergradients", registry.dump(member)) == member


def test_parameters_are_checked() -> None:
    for name, fields in [
        ("reverse", {"T": 3, "K": 4}),
        ("reverse", {"T": 0}),
        ("neumann", {"K": 0}),
        ("conjugate_gradient", {"k": 0}),
        ("darts_second_order", {"epsilon": 0.0}),
    ]:
        with pytest.raises(ValueError):
            registry.parse("hypergradients", {"name": name, **fields})
