"""The unrolled gradient, or its last K terms."""

from dataclasses import replace

import torch

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks

SOURCE = "Franceschi et al. 2017, equations 8 and 9 (reverse mode); Shaban et al. 2019, equation 7 (K-RMD)"


def table(make):
    checks.reverse(make.member)
    yield "as many training batches as steps", make(T=7).horizon, 7
    yield "this suite's steps, all kept", (make().T, make().K, make().segment), (10, None, 1)
    q = quadratic(PLAIN, 5)
    flags = make(T=5, K=3).estimate(q.problem, q.batches, q.valid).flags
    v = checks.simulate(q, 5, 5)[0] - q.t
    back = v
    for H, _, _ in (q.batches[i] for i in (4, 3, 2)):
        back = back - PLAIN.lr * H @ back  # a_t = (I − ηH)ᵀ a_{t+1}
    published = {"diverged": 0.0, "adjoint_growth": float(back.norm() / v.norm())}
    yield "how the adjoint has grown over K steps", flags, published
    yield "an idle weight changes nothing", same(make(T=5), q), True
    nothing = make(T=1).estimate(*unmoved(q)).flags["adjoint_growth"]
    yield "nor where the loss has no weights", nothing, 0.0


def unmoved(q):
    """Return a problem whose validation loss does not know the weights."""

    def valid(w, a, batch):
        return sum(torch.sum(t**2) for t in a.values())

    return replace(q.problem, valid_loss=valid), q.batches[:1], None


EQUIVALENT = {
    "first <= t < self.T -> first <= t <= self.T": "after the last step there is no batch",
    "pairs and flat -> pairs or flat": "of no outputs torch gives zeros too",
    "False -> True": "whether a graph is kept costs memory and changes no number",
}
