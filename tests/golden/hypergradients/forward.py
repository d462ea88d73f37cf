"""The same gradient carried forward."""

from dataclasses import replace

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks
from tests.hypergradients.brute import unrolled_gradient

SOURCE = "Franceschi et al. 2017, equations 15 and 16 (forward mode)"


def table(make):
    checks.forward(make.member)
    yield "as many training batches as steps", make(T=7).horizon, 7
    yield "this suite's steps", make().T, 10
    q = quadratic(PLAIN, 3)
    flags = make(T=3).estimate(q.problem, q.batches, q.valid).flags
    published = {"diverged": 0.0, "response_norm": float(checks.simulate(q, 3, 3)[1].norm())}
    yield "the length of the response", flags, published
    # Just above the limit, with the 1e-6 of clip_grad_norm_: nothing is longer, and yet it is clipped.
    size = float((q.batches[0][0] @ q.w - q.force(0)).norm())
    for above in (0.9e-6, 1.1e-6):
        p = replace(q.problem, inner=replace(PLAIN, clip=size + above))
        found = make(T=1).estimate(p, q.batches[:1], q.valid).total
        brute = unrolled_gradient(p, q.batches[:1], q.valid)
        yield f"clipped at {above} above", [found[n] for n in brute], [brute[n] for n in brute]
    yield "an idle weight changes nothing", same(make(T=3), q), True


EQUIVALENT = {
    "inner.clip < size + 1e-06 -> inner.clip <= size + 1e-06": "scaled by one there",
}
