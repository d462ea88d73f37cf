"""Largest weight, with tuning between the edges."""

from types import SimpleNamespace

import torch

SOURCE = "DARTS-PT, nasbench201/train_search.py and projection.py (proj_intv 5, learning_rate/10 = 0.0025)"


def table(make):
    for name in ("paper", None):
        rule = make(name) if name else make()
        yield (
            f"{name}: tuning epochs, rate, α",
            (rule.epochs, rule.lr, rule.learn_alpha),
            (5, 0.0025, True),
        )
    mixture = torch.tensor([[0.1, 0.3, 0.2, 0.25, 0.15]] * 6)
    setup = SimpleNamespace(mixture=lambda state: mixture)
    yield "the largest weight", make().strongest(setup, None, 2, [0, 1, 2, 3, 4]), 1
    yield "of those that compete", make().strongest(setup, None, 2, [0, 2, 3]), 3


INERT = {
    "return float(setup.strength": "no second criterion",
    "rows[edge][operation] = 1.0": "told by the table of perturbation",
    "batch: int": "told by the table of perturbation",
    "tuned.epoch = max": "the last epoch's schedules; see tests/selection",
    "if i < len(": "no tuning after the last; told by the table of perturbation",
    "state.step += 1": "counts steps",
    "learns: bool": "told by the table of perturbation",
    "midway: ClassVar": "joins a search under way",
    "False, description=": "told by the table of perturbation",
}
