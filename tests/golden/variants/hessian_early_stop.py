"""When the smoothed eigenvalue stops a search, and which epoch's cell counts."""

from types import SimpleNamespace

SOURCE = (
    "RobustDARTS, src/utils.py (EVLocalAvg: window 5, every 2 epochs, from epoch 10, delta 4, factor 1.3) and "
    "Zela et al. 2020, section 4.3 (k = 5, 0.75; around the epoch: from memory)"
)


def acts(variant, values, epochs=50):
    """Return (epoch at which it stops, epoch that counts), from 1, for eigenvalues by epoch."""
    search = SimpleNamespace(epochs=epochs)
    setup = SimpleNamespace(settings=SimpleNamespace(search=search))
    rule, seen = variant.chosen(), []
    for epoch in range(1, epochs + 1):
        if rule.measures(epoch):
            seen.append(values(epoch))
        memory = {variant.name: {"values": list(seen)}}
        stop = variant.stop(setup, SimpleNamespace(epoch=epoch, memory=memory))
        if stop is not None:
            return epoch, stop.epoch
    return None


def rising(epoch):
    return 2.0**epoch


def step(at_epoch, height):
    """Return eigenvalues that are 1 and from an epoch on ``height``."""
    return lambda epoch: 1.0 if epoch < at_epoch else height


def table(make):
    for name in ("paper", None):
        paper = make(name) if name else make()
        # λ̄(3) is of epochs 1 to 5, λ̄(8) of 6 to 10: the first pair there is, known at epoch 10.
        yield f"{name}: the first that can", acts(paper, rising), (10, 3)
        # Three of five epochs at 2 give 1.6, 1/1.6 < 0.75; two give 1.4, 1/1.4 = 0.714 < 0.75.
        yield f"{name}: two of five epochs are enough", acts(paper, step(21, 2.0)), (22, 15)
        yield f"{name}: 4/3 is not below 0.75", acts(paper, step(21, 4 / 3)), None
        yield f"{name}: a little more is", acts(paper, step(21, 1.34)), (25, 18)
        yield f"{name}: the last epoch counts", acts(paper, step(50, 3.0)), (50, 43)
        yield f"{name}: frozen batches", paper.batches, 8
    trailing = make("trailing")
    yield "trailing: the first that can", acts(trailing, rising), (10, 5)
    yield "trailing: two of five", acts(trailing, step(21, 2.0)), (22, 17)
    yield "trailing: not below 0.75", acts(trailing, step(21, 4 / 3)), None
    yield "trailing: a little more", acts(trailing, step(21, 1.34)), (25, 20)
    yield "trailing: the last epoch", acts(trailing, step(50, 3.0)), (50, 45)
    code = make("code")
    # Epochs 22 and 10 of the code, which counts from 0: the 12th measurement, and the 6th.
    yield "code: the 12th measurement", acts(code, rising), (23, 11)
    # The mean of five over that of four measurements before: 1.3 is not above 1.3.
    yield "code: (4 + 2.4)/5 = 1.28 of 1 goes on", acts(code, step(45, 1.7)), (49, 37)
    yield "code: one of five at 2.49 goes on", acts(code, lambda e: 2.49 if e == 31 else 1.0), None
    yield "code: one of five at 2.51", acts(code, lambda e: 2.51 if e == 31 else 1.0), (31, 19)
    # Growing by r at every measurement, the averages differ by r⁴: 1.25 and 1.31.
    yield "code: r⁴ = 1.25 goes on", acts(code, lambda e: 1.25 ** ((e - 1) / 8)), None
    yield "code: r⁴ = 1.31", acts(code, lambda e: 1.31 ** ((e - 1) / 8)), (23, 11)
    # 6.5/5 is 1.3: not above it.
    yield "code: one of five at 2.5", acts(code, lambda e: 2.5 if e == 31 else 1.0), None
    for name in ("paper", "trailing", "code"):
        variant = make(name)
        yield f"{name}: nothing at zero", acts(variant, lambda e: 0.0), None
        yield f"{name}: nothing below zero", acts(variant, lambda e: -1.0 if e < 21 else -9.0), None
        # Whatever the size of the eigenvalues.
        small = acts(variant, lambda e: 1e-9 * 2.0**e)
        yield f"{name}: from small ones too", small, acts(variant, rising)
    yield from measured(make)
    yield "code: not in the last epoch", acts(code, step(31, 9.0), 31), None
    yield (
        "code: measured after",
        [e for e in range(1, 8) if code.chosen().measures(e)],
        [1, 3, 5, 7],
    )


def measured(make):
    """What is measured goes into memory and history, in the epochs of the rule."""
    import sys

    helper = sys.modules[make.member.__mro__[1].__module__]
    kept, asked = helper.AlphaHessian, []

    class Scripted:
        def __init__(self, **settings):
            asked.append(settings)

        def observe(self, setup, state):
            return {"hessian_eigenvalue_max": 10.0 + state.epoch}

    helper.AlphaHessian = Scripted
    try:
        variant, state = make("code"), SimpleNamespace(epoch=0, memory={}, history=[])
        for epoch in range(1, 6):
            state.epoch = epoch
            state.history.append({})
            variant.after_epoch(None, state)
        off = make(rule=None).after_epoch(None, SimpleNamespace(epoch=1, memory={}, history=[{}]))
    finally:
        helper.AlphaHessian = kept
    yield "code: kept", state.memory, {variant.name: {"values": [11.0, 13.0, 15.0]}}
    history = [{"stop_eigenvalue": 10.0 + e} if e % 2 else {} for e in range(1, 6)]
    yield "code: in the history", state.history, history
    yield "on one batch", [a["probe"] for a in asked], ["official"] * 3
    yield "no rule, nothing", off, None


INERT = {
    "batches: int": "frozen batches are this suite's; the table names their number",
    "def chosen": "the earliest epoch is the first one",
    '"first", 1': "the earliest epoch is the first one",
    "first=1,": "no epoch comes before the first",
    "offset: int = 0": "a rule that says nothing measures every so many epochs",
}

EQUIVALENT = {
    "(epoch - (self.offset or self.every)) // self.every -> "
    "(epoch - (self.offset or self.every)) / self.every": (
        "asked of epochs at which a measurement is made; see tests/variants/test_hessian_early_stop.py"
    ),
}
