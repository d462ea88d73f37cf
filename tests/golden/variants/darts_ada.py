"""Back to before the rise, with ten times the weight decay."""

from tests.golden.variants import hessian_early_stop

SOURCE = (
    "RobustDARTS, scripts/DARTS-ADA_search.sh: --weight_decay 0.0003 --mul_factor 10 --max_weight_decay 0.03 "
    "--early_stop 3 --extra_rollback_epochs 0; src/search/train_search.py (final_iteration)"
)


def ladder(variant, start=3e-4):
    """Return the weight decays that a search goes through whose eigenvalue always rises."""
    found = [start]
    while len(found) <= variant.times and found[-1] * variant.factor <= variant.most * (1 + 1e-9):
        found.append(found[-1] * variant.factor)
    return found


def table(make):
    for name in ("paper", "code", None):
        variant = make(name) if name else make()
        yield f"{name}: weight decays", ladder(variant), [3e-4, 3e-3, 3e-2]
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
    yield "returns at most", make().times, 4


INERT = {
    **hessian_early_stop.INERT,
    "1e-9": "rounding of the largest decay",
    'memory.get("rollbacks", 0)': "how many times so far; see test_hessian_early_stop.py",
}
