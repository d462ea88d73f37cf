"""The limit of DARTS's own finite difference."""

import sys

import torch

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks
from tests.hypergradients.problems import leaf

SOURCE = "Liu et al. 2019, DARTS, equation 7, with the step of cnn/architect.py"


def table(make):
    checks.one_step(make.member)
    yield "a training batch", make().horizon, 1
    q = quadratic(PLAIN)
    yield "it is sound", make().estimate(q.problem, q.batches, q.valid).flags["diverged"], 0.0
    tensors = sys.modules["bench.hypergradients._autodiff"]
    sound, torn = torch.ones(2), torch.tensor([1.0, torch.inf])
    told = [tensors.finite({"a": sound}, {"b": t}) for t in (sound, torn)]
    told += [tensors.finite({"a": sound, "b": t}) for t in (sound, torn)]
    yield "finite is all of it", told, [True, False, True, False]
    constant = [torch.tensor(1.0)]
    (found,) = tensors.vjp(constant, constant, {"a": leaf(torch.ones(2))})
    yield "of a constant there are zeros", found["a"], [0.0, 0.0]
    yield "an idle weight changes nothing", same(make(), q), True
