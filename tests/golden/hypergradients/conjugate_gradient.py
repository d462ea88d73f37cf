"""H⁻¹v by conjugate gradients, stopped at curvature that is not positive."""

import torch

from tests.golden.hypergradients import PLAIN, quadratic, same, still
from tests.hypergradients import checks

SOURCE = "Hestenes and Stiefel 1952 as in Pedregosa 2016, algorithm 1: the best point of the Krylov space"


def table(make):
    checks.conjugate_gradient(make.member)
    yield "a training batch", make().horizon, 1
    yield "this suite's steps and tolerance", (make().k, make().tolerance), (10, 1e-12)
    yield "told apart", make().tolerance / 1e-12, 1.0
    q = quadratic(PLAIN)
    H, v = q.batches[0][0], q.w - q.t
    residuals = []
    for k in range(1, 6):
        space = torch.stack([torch.linalg.matrix_power(H, j) @ v for j in range(k)], 1)
        best = space @ torch.linalg.solve(space.T @ H @ space, space.T @ v)
        residuals.append(float((v - H @ best).norm() / v.norm()))
        flags = make(k=k).estimate(q.problem, q.batches, q.valid).flags
        published = {"indefinite": 0.0, "residual": residuals[-1], "iterations": k, "diverged": 0.0}
        yield f"what is left after {k} steps", flags, published
    for k in (2, 3, 4):  # half-way between two residuals: relative to ‖v‖
        tolerance = (residuals[k - 1] + residuals[k - 2]) / 2
        found = make(tolerance=tolerance).estimate(q.problem, q.batches, q.valid).flags
        yield f"it ends at the tolerance, step {k}", found["iterations"], k
    for what, eigenvalues, flag in (
        ("negative", [-0.5, -0.8, -1.0, -1.3, -1.7, -2.0], 1.0),
        ("no", [0.0] * 6, 1.0),
        ("little", [0.01] * 6, 0.0),
    ):
        q = quadratic(PLAIN, eigenvalues=torch.tensor(eigenvalues, dtype=torch.float64))
        found = make().estimate(q.problem, q.batches, q.valid)
        yield f"{what} curvature", found.flags["indefinite"], flag
        still_zero = all(not t.any() for t in found.implicit.values())
        yield f"{what} curvature: the steps before", still_zero, bool(flag)
    q, valid = still()
    found = make().estimate(q.problem, q.batches, valid).flags
    none = {"indefinite": 0.0, "residual": 0.0, "iterations": 0, "diverged": 0.0}
    yield "nothing to solve", found, none
    yield "an idle weight changes nothing", same(make(), quadratic(PLAIN)), True
