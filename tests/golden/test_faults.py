"""Faults that were found once, put back by their text: each turns a golden table red."""

import importlib
import inspect
import types

import pytest

from tests.golden import harness

FAULTS = [  # module, members, what stands there, what stood there
    ("variants.fair_darts", ["fair_darts"], 'Field(("none",), desc', "Field((), desc"),
    ("variants.fair_darts", ["fair_darts"], "if self.zeros else {}", "if not self.zeros else {}"),
    ("variants._perturbation", ["sdarts_rs", "sdarts_adv"], ".minimum(total)", ""),
    (
        "variants._perturbation", ["sdarts_rs", "sdarts_adv"],
        "torch.where((clamped == 0).all(-1, keepdim=True), alone, clamped)", "clamped",
    ),
    # One schedule over the whole search, with an absolute warm-up, on every skip.
    (
        "variants.skip_dropout", ["skip_dropout"],
        "bounds(number, moment.epochs, len(rates))", "(0, moment.epochs)",
    ),
    ("variants.skip_dropout", ["skip_dropout"], "0.4 * length", "10"),
    ("variants.skip_dropout", ["skip_dropout"], " or site.stride != 1", ""),
    ("variants.operation_shrinking", ["operation_shrinking"], "if self.restart else 1", "if 0 else 1"),
    ("selection.limited_skips", ["limited_skips"], "len(skips) <= self.most or ", "True or "),
    # An absolute deviation; noise in place of the skip.
    ("variants.noisy_darts", ["noisy_darts"], "y.detach().std() if adds else 1.0", "1.0"),
    ("variants.noisy_darts", ["noisy_darts"], "return y + xi if adds", "return xi if adds"),
    # Edge after edge, whatever cell it is of; ranked once.
    (
        "selection._projection", ["perturbation"], "intervals = _intervals(parts, draws)",
        "intervals = [[e] for own in _intervals(parts, draws) for e in own]",
    ),
    (
        "selection._projection", ["perturbation"], "while len(left) > kept:",
        "left = sorted(left, key=lambda e: self.importance(setup, setup, tuned, e, decided[e]))[-kept:]\n"
        "        while len(left) > kept:",
    ),
    ("variants._eigenvalue", ["hessian_early_stop"], "first=11, at_end", "first=9, at_end"),
    ("variants._eigenvalue", ["hessian_early_stop"], "back=7, first=1", "back=5, first=1"),
    ("variants.darts_ada", ["darts_ada"], '"paper", "factor": 10.0, "most": 0.03',
     '"paper", "factor": 3.0, "most": 0.0243'),
    ("variants.edge_drop_path", ["edge_drop_path"], "moment.epochs - 1)", "moment.epochs)"),
    ("variants.drnas", ["drnas"], "return 0.0 if self.kl > 0 else None", "return None"),
    ("variants.snas", ["snas"], '"snas_series": {"start": 1.0', '"snas_series": {"start": 10.0'),
    (
        "variants.partial_channels", ["partial_channels"],
        '"drnas": {"K": 4, "edge_normalisation": False', '"drnas": {"K": 4, "edge_normalisation": True',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "members", "there", "before"), FAULTS)
def test_a_fault_put_back_is_seen(module, members, there, before):
    name, seam = f"bench.{module}", module.partition(".")[0]
    original = importlib.import_module(name)
    source = inspect.getsource(original)
    assert source.count(there) == 1, f"{there!r} stands {source.count(there)} times in {name}"
    made = types.ModuleType(name)
    made.__file__, made.__package__ = original.__file__, original.__package__
    with harness.swapped(name, made):
        exec(compile(source.replace(there, before), original.__file__, "exec"), made.__dict__)
        for member in members:
            own = made if name.endswith(f".{member}") else harness.fresh(f"bench.{seam}.{member}")
            assert harness.wrong(seam, member, harness.member_of(own, seam)), member
