"""The limit of DARTS's own finite difference."""

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks

SOURCE = "Liu et al. 2019, DARTS, equation 7, with the step of cnn/architect.py"


def table(make):
    checks.one_step(make.member)
    yield "a training batch", make().horizon, 1
    q = quadratic(PLAIN)
    yield "it is sound", make().estimate(q.problem, q.batches, q.valid).flags["diverged"], 0.0
    yield "an idle weight changes nothing", same(make(), q), True
