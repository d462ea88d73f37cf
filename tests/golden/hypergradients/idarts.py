"""T steps ahead, then K summands on the last batch."""

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks

SOURCE = "Zhang et al. 2021, iDARTS, equation 10 and algorithm 1 (γ the inner rate); architect_hess.py (K, T)"


def table(make):
    checks.idarts(make.member)
    yield "as many training batches as steps", make(T=7).horizon, 7
    yield "five steps, three summands, the inner rate", (make().T, make().K, make().a), (5, 3, None)
    yield "an idle weight changes nothing", same(make(T=2), quadratic(PLAIN, 2)), True
