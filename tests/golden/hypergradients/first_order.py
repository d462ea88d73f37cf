"""∂_λ L_val at the present weights, nothing else."""

from tests.hypergradients import checks

SOURCE = "Liu et al. 2019, DARTS, section 2.3 (ξ = 0); on a quadratic its error is BᵀH⁻¹(w* − t)"


def table(make):
    checks.first_order(make.member)
    yield "no training batch", make().horizon, 0
