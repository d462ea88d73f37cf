"""A fitted best response; whole sweeps are Neumann summands on a quadratic."""

import sys
from dataclasses import replace

import torch

from tests.golden.hypergradients import PLAIN, quadratic, same
from tests.hypergradients import checks
from tests.hypergradients.problems import flat

SOURCE = "MacKay et al. 2019, equations 11 to 15 (structured response); Neumann's closed form on a quadratic"


def table(make):
    checks.stn(make.member)
    yield "as many training batches as are fitted on", make(T=7).horizon, 7
    found = (make().T, make().pairs, make().scale, make().base, make().seed, make().lr)
    yield "this suite's settings", found, (5, 6, 0.1, "random", 0, None)
    q = quadratic(PLAIN)
    half = make(T=1, pairs=2).estimate(q.problem, q.batches, q.valid).flags
    yield "half of the directions were seen", half, {"diverged": 0.0, "coverage": 0.5}
    member = make(pairs=2)
    gradient, _ = member.train_step(q.problem, member.initial_state(q.problem), q.batches[0], 0)
    # What is odd in δ cancels in a pair: the gradient at w and λ.
    yield "the weights' gradient", flat(gradient), q.batches[0][0] @ q.w - q.force(0)
    yield "an idle weight changes nothing", same(make(T=1, pairs=4), q), True
    weights = {"bank": torch.arange(1.0, 7.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}
    problem = replace(q.problem, weights=weights)
    base = make(base="weights").initial_state(problem)["base.bank"]
    yield "U from the weights", base, weights["bank"]
    random = make().initial_state(problem)["base.bank"]
    yield "or random", bool((random == weights["bank"]).any()), False
    yield "with rows as long", random.norm(dim=1), weights["bank"].norm(dim=1)
    yield from structured(sys.modules["bench.hypergradients._response"])


def structured(response):
    """The response of a filter bank, a bias and a number, by hand."""
    U = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    weights = {"bank": U, "bias": torch.tensor([7.0, 8.0]), "one": torch.tensor(9.0)}
    state = response.initial(weights, 2)
    shapes = {n: list(t.shape) for n, t in state.items()}
    told = {"rows.bank": [2, 2], "base.bank": [2, 3], "rows.bias": [2, 2], "rows.one": [2, 1]}
    yield "a row of R for every output", shapes, told
    yield (
        "which begins at zero",
        [state[n].abs().sum().item() for n in told if "rows" in n],
        [0.0] * 3,
    )
    state["rows.bank"] = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    state["rows.bias"] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    state["rows.one"] = torch.tensor([[5.0], [6.0]])
    state["base.bank"] = 2 * U
    delta = torch.tensor([1.0, -2.0])
    moved = response.displacement(state, weights, delta)
    # Rδ of the bank: 0.1 − 0.6, 0.2 − 0.8; of the bias 1 − 6, 2 − 8; of the number 5 − 12.
    yield "the bank's rows are scaled", moved["bank"], [[-1.0, -2.0, -3.0], [-4.8, -6.0, -7.2]]
    yield "the bias moves freely", moved["bias"], [-5.0, -6.0]
    yield "and the number", moved["one"].item(), -7.0
    slope = {
        "bank": torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]),
        "bias": torch.tensor([1.0, -1.0]),
        "one": torch.tensor(2.0),
    }
    # Σ slope·U: 2 + 12 and 10.
    back = response.pullback(state, slope)
    yield "pulled back", back, [0.1 * 14 + 0.2 * 10 - 1 + 10, 0.3 * 14 + 0.4 * 10 - 1 + 12]
    fitted = response.fit(state, slope, delta, 0.1)
    yield "R descends", fitted["rows.bank"], [[0.1 - 1.4, 0.2 - 1.0], [0.3 + 2.8, 0.4 + 2.0]]
    yield "that of the bias", fitted["rows.bias"], [[0.9, 2.1], [3.2, 3.8]]
    gain = torch.tensor([[-0.5], [-0.6]])
    yield "U descends", fitted["base.bank"], 2 * U - 0.1 * gain * slope["bank"]
    for sweep in (0, 1):
        z = torch.stack([response.direction(5, 4 * sweep + i, 4) for i in range(4)])
        yield f"sweep {sweep} is orthogonal", z @ z.T, 4 * torch.eye(4)
    z = [tuple(response.direction(s, c, 4).tolist()) for s in (0, 1) for c in (0, 4)]
    yield "every seed and sweep has its own", len(set(z)), 4


EQUIVALENT = {
    f"{one} -> {other}": "which numbers a seed stands for"
    for one, other in (
        ("seed * 1000003 + sweep", "seed * 1000003 - sweep"), ("2 ** 63", "2 * 63"),
        ("2", "3"), ("63", "64"), ("1000003", "1000004"),
    )
}  # fmt: skip
