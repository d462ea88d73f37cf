"""The same gradient carried forward."""

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks

SOURCE = "Franceschi et al. 2017, equations 15 and 16 (forward mode)"


def table(make):
    checks.forward(make.member)
    yield "as many training batches as steps", make(T=7).horizon, 7
    yield "this suite's steps", make().T, 10
    q = quadratic(PLAIN, 3)
    flags = make(T=3).estimate(q.problem, q.batches, q.valid).flags
    published = {"diverged": 0.0, "response_norm": float(checks.simulate(q, 3, 3)[1].norm())}
    yield "the length of the response", flags, published
    yield "an idle weight changes nothing", same(make(T=3), q), True
