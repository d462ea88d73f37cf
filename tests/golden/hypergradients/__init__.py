"""Known answers on a quadratic, and what estimators say of themselves there."""

from dataclasses import replace

import torch

from bench.contracts.hypergradient import InnerStep
from tests.hypergradients.problems import leaf, quadratic

PLAIN = InnerStep(lr=0.3)


def still(inner=PLAIN, batches=1):
    """Return a problem and a validation batch at whose target the weights are: v is zero."""
    q = quadratic(inner, batches)
    return q, (q.M, q.w)


def idle(q):
    """Return the problem with a weight that no loss reaches."""

    def without(loss):
        return lambda w, a, batch: loss({n: t for n, t in w.items() if n != "idle"}, a, batch)

    p = q.problem
    weights = {"idle": leaf(torch.ones(3, dtype=torch.float64)), **p.weights}
    train, valid = without(p.train_loss), without(p.valid_loss)
    return replace(p, weights=weights, train_loss=train, valid_loss=valid)


def same(member, q):
    """Say whether an idle weight changes nothing."""
    one = member.estimate(q.problem, q.batches, q.valid).total
    other = member.estimate(idle(q), q.batches, q.valid).total
    return all(torch.allclose(one[n], other[n], rtol=1e-12, atol=0) for n in one)
