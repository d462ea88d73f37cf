"""Back to before the rise, with ten times the weight decay."""

import sys

from tests.golden.harness import searching
from tests.golden.variants import hessian_early_stop

SOURCE = (
    "RobustDARTS, scripts/DARTS-ADA_search.sh: --weight_decay 0.0003 --mul_factor 10 --max_weight_decay 0.03 "
    "--early_stop 3 --extra_rollback_epochs 0; src/search/train_search.py (final_iteration)"
)


def play(variant, decay=3e-4, epochs=26, spoiled=None, growth=2.0):
    """Search with an eigenvalue that doubles every epoch; return the returns, state and last snapshots.

    α says which epoch it is; ``spoiled`` is an epoch after which somebody restarts the optimiser.
    """
    helper = sys.modules[type(variant).__mro__[1].__module__]
    kept = helper.AlphaHessian

    class Rising:
        def __init__(self, **settings):
            pass

        def observe(self, setup, state):
            passes = state.memory.get(variant.name, {}).get("rollbacks", 0)
            value = growth(state.epoch, passes) if callable(growth) else growth**state.epoch
            return {"hessian_eigenvalue_max": value}

    setup, state = searching(variant, epochs=epochs, weights={"weight_decay": decay})
    returns, held = [], []
    helper.AlphaHessian = Rising
    try:
        while state.epoch < epochs:
            state.epoch += 1
            epoch = state.epoch
            state.architecture["alpha"].data.fill_(epoch)
            state.memory["another"] = epoch
            state.history.append({"epoch": epoch})
            if epoch == spoiled:
                state.weight_optimizer.param_groups[0]["weight_decay"] = 0.7
            variant.after_epoch(setup, state)
            held = sorted(state.memory.get(variant.name, {}).get("states", held))
            if variant.stop(setup, state) is not None:
                returns.append("stopped")
                break
            if state.epoch != epoch:
                alpha, other = state.architecture["alpha"][0, 0].item(), state.memory["another"]
                now = state.weight_optimizer.param_groups[0]["weight_decay"]
                returns.append((epoch, state.epoch, now, alpha, other, len(state.history), held))
    finally:
        helper.AlphaHessian = kept
    return returns, state, held


def table(make):
    for name in ("paper", "code", None):
        variant = make(name) if name else make()
        yield f"{name}: the factor", variant.factor, 10.0
        yield f"{name}: the largest", variant.most, 0.03
        values = [2.0**e for e in range(1, 40)]
        first = next(n for n in range(1, 40) if variant.chosen().verdict(values[:n]))
        rule = variant.chosen()
        expected = (23, 11) if name == "code" else (10, 3)
        found = (rule.epoch_of(first), rule.verdict(values[:first]))
        yield f"{name}: acts where early stopping does", found, expected
        kept = rule.count(rule.verdict(values[:first]))
        yield f"{name}: measurements that are kept", kept, 6 if name == "code" else 3
    for name, (at, back, states) in {
        "paper": (10, 3, [*range(3, 10)]), "code": (23, 11, [*range(11, 23, 2)]),
    }.items():  # fmt: skip
        returns, state, _ = play(make(name))
        told = [(at, back, decay, back, back, back, states) for decay in (3e-3, 3e-2)]
        yield (
            f"{name}: from where, to where, weight decay, α, others, history, states",
            returns,
            told,
        )
        yield f"{name}: then on to the end", state.epoch, 26
        last = state.history[-1 if name == "paper" else -2]
        yield f"{name}: the history says", (last["weight_decay"], last["rollbacks"]), (3e-2, 2)
    returns, *_ = play(make(first=5))
    yield "no earlier than asked", [r[:2] for r in returns], [(12, 5), (12, 5)]
    # The mean around 9 is the first to see the rise after 10: back to 4. The second time the mean around 8
    # would lead back to 3, before the first return.
    returns, *_ = play(make("paper"), growth=lambda e, n: 1.0 if e <= (4 if n else 10) else 100.0)
    yield "no return goes beyond an earlier one", [r[:2] for r in returns], [(11, 4), (11, 4)]
    yield "returns at most", make().times, 4
    returns, *_ = play(make(times=1))
    yield "once", [r[2] for r in returns], [3e-3]
    yield "no decay, nothing to multiply", play(make(), decay=0.0)[0], []
    yield "in nothing more than most", play(make(), decay=4e-3)[0], []
    _, state, _ = play(make(times=1), spoiled=20)
    found = state.weight_optimizer.param_groups[0]["weight_decay"]
    for name, last in (("paper", [*range(19, 26)]), ("code", [*range(15, 26, 2)])):
        returns, state, held = play(make(name), growth=1.0)
        yield f"{name}: states that are held", (returns, held), ([], last)
        yield f"{name}: nothing happened", state.history[0]["rollbacks"], 0
    yield "whoever restarts the optimiser", found, 3e-3
    yield "no rule", play(make(rule=None), epochs=3)[1].history, [{"epoch": e} for e in (1, 2, 3)]
    settings = [make().weight_settings(m) for m in ({}, {"weight_decay": 3e-3})]
    yield "what a resume sets", settings, [{}, {"weight_decay": 3e-3}]


INERT = {
    **hessian_early_stop.INERT,
    "1e-9": "rounding of the largest decay",
}
EQUIVALENT = {
    **hessian_early_stop.EQUIVALENT,
    "self.most * (1 + 1e-09) -> self.most / (1 + 1e-09)": "rounding of the largest decay",
    "0 < decay <= self.most * (1 + 1e-09) -> 0 < decay < self.most * (1 + 1e-09)": "rounding",
}
