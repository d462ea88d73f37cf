"""Early stopping and DARTS-ADA on hand-made eigenvalues: when they act, and what they go back to."""

import copy
import io
import math

import pytest
import torch

from bench.contracts import registry
from bench.instruments.alpha_hessian import AlphaHessian
from bench.runs.run import rewind
from bench.search.loop import search
from bench.variants._eigenvalue import READING, RULES

FLAT = [1.0] * 50
# Four of five 1 and one 2 give 1.2, three and two 1.4; 1/1.4 = 0.71 < 0.75, 1.4 > 1.3.
RISE = [1.0] * 10 + [2.0] * 20


def first(rule, values):
    """Return after how many epochs the rule acts, and the epoch that it goes back to."""
    for n in range(1, len(values) + 1):
        if (target := RULES[rule].verdict(values[:n])) is not None:
            return RULES[rule].epoch_of(n), target
    return None


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ("paper", RISE, (12, 5)),
        ("paper", [1.0] * 5 + [2.0] * 5, (10, 3)),  # the first epoch that has two windows
        ("paper", [3.0] * 5 + [4.0] * 5, None),  # 0.75 exactly
        ("paper", [3.0] * 5 + [4.01] * 5, (10, 3)),
        ("paper", [1.0] * 20 + [3.0], (21, 14)),  # 1/1.4
        ("trailing", RISE, (12, 7)),
        ("trailing", [1.0] * 5 + [2.0] * 5, (10, 5)),
        ("trailing", [3.0] * 5 + [4.0] * 5, None),
        ("paper", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0], None),  # too short
        ("paper", [0.02] * 5 + [-0.5] * 5, None),
        ("code", [1.0] * 11 + [2.0] * 9, (25, 13)),
        ("code", [2.0**n for n in range(20)], (23, 11)),  # the 12th, the first that can
        ("code", [2.0**n for n in range(11)], None),
        ("code", [1.0] * 15 + [2.49] * 1 + [1.0] * 9, None),  # 1.298
        ("code", [1.0] * 15 + [2.6] * 1 + [1.0] * 9, (31, 19)),  # 1.32
        ("code", [1.0] * 20 + [10.0, 1.0], (41, 29)),
    ],
)
def test_a_rule_acts_when_the_sequence_says_so(rule, values, expected):
    assert first(rule, values) == expected


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "values",
    [
        FLAT,
        [0.0] * 50,
        [-1.0] * 50,
        [math.nan] * 50,
        [1.0 + 0.01 * n for n in range(50)],
        [50.0 - n for n in range(50)],
        [1.0, 1.2] * 25,
        [],
    ],
)
def test_it_leaves_flat_slow_falling_and_undefined_sequences_alone(rule, values):
    assert first(rule, values) is None


def test_what_stands_beside_the_rule_scales_it():
    parse = registry.parse
    code = {"name": "hessian_early_stop", "preset": "code", "every": 1, "first": 5}
    rule = parse("variants", code).chosen()
    assert rule.verdict([2.0**n for n in range(10)]) is None
    assert rule.verdict([2.0**n for n in range(11)]) == 5
    assert parse("variants", {"name": "darts_ada", "rule": None}).chosen() is None
    assert parse("variants", {"name": "darts_ada"}).chosen(first=8).first == 8


@pytest.fixture
def script(monkeypatch):
    """Return a function that makes the eigenvalue what a function of (setup, state) says."""

    def play(value):
        def observe(self, setup, state):
            return {"hessian_eigenvalue_max": value(setup, state)}

        monkeypatch.setattr(AlphaHessian, "observe", observe)

    return play


def test_the_search_stops_and_the_cell_of_the_earlier_epoch_counts(tiny, script):
    script(lambda setup, state: RISE[state.epoch - 1])
    setup, state = tiny("hessian_early_stop", {"name": "partial_channels", "warmup": 0}, epochs=30)
    alphas = []
    search(setup, state, after_epoch=lambda s: alphas.append(lists(s)))
    assert state.epoch == len(state.history) == 12
    assert state.stopped["epoch"] == 5 and "eigenvalue rose to 2" in state.stopped["reason"]
    assert [entry[READING] for entry in state.history] == RISE[:12]
    assert alphas[4] != alphas[11]
    rewind(state)
    assert lists(state) == alphas[4] and set(alphas[4]) == {"alpha", "beta"}


def lists(state):
    """Return all that the architecture learns, as plain numbers."""
    return {name: value.tolist() for name, value in state.architecture.items()}


def test_the_rule_of_the_code_measures_every_other_epoch_and_never_ends_the_last(tiny, script):
    rises = [1.0] * 22 + [9.0] * 20
    script(lambda setup, state: rises[state.epoch - 1])
    for epochs, expected in ((23, None), (26, {"epoch": 11})):
        setup, state = tiny({"name": "hessian_early_stop", "rule": "code"}, epochs=epochs)
        search(setup, state)
        assert [READING in entry for entry in state.history] == [True, False] * 11 + [True]
        assert state.epoch == 23
        assert state.stopped == (expected and {**expected, "reason": state.stopped["reason"]})


def test_a_flat_eigenvalue_changes_nothing(tiny, script):
    script(lambda setup, state: 1.0)
    plain_setup, plain = tiny(epochs=12)
    search(plain_setup, plain)
    for name in ("hessian_early_stop", "darts_ada"):
        setup, state = tiny(name, epochs=12)
        search(setup, state)
        assert state.stopped is None and state.epoch == 12
        assert torch.equal(state.architecture["alpha"], plain.architecture["alpha"])
        assert all(map(torch.equal, state.supernet.parameters(), plain.supernet.parameters()))


def test_it_watches_what_the_instrument_reads(tiny):
    setup, state = tiny("hessian_early_stop", epochs=1)
    search(setup, state)
    found = AlphaHessian(mode="lanczos", probe="official").observe(setup, state)
    assert state.history[0][READING] == found["hessian_eigenvalue_max"] > 0
    assert state.memory["hessian_early_stop"]["values"] == [state.history[0][READING]]
    frozen = {"name": "hessian_early_stop", "probe": "frozen", "batches": 2}
    setup, state = tiny(frozen, epochs=1)
    search(setup, state)
    found = AlphaHessian(mode="lanczos", batches=2).observe(setup, state)
    assert state.history[0][READING] == found["hessian_eigenvalue_max"]


THREEFOLD = {"name": "darts_ada", "rule": "trailing", "factor": 3.0, "most": 243e-4}


def stubborn(setup, state):
    """Rise as `RISE` until the weight decay is three times what it was."""
    raised = state.weight_optimizer.param_groups[0]["weight_decay"] > 1e-3
    return 1.0 if raised else RISE[state.epoch - 1]


def whole(state):
    """Return all that a search goes on from but what the variant itself remembers."""
    saved = copy.deepcopy(state.to_dict())
    for key in ("history", "memory", "stopped"):
        saved.pop(key)
    saved["weight_optimizer"]["param_groups"][0].pop("weight_decay")
    return saved


def test_ada_goes_back_to_the_whole_state_and_searches_on_with_more_decay(tiny, script):
    """The same as a search that was given the greater weight decay after epoch 7 by hand."""
    script(stubborn)
    setup, state = tiny(THREEFOLD, epochs=14)
    trail = []
    search(setup, state, after_epoch=lambda s: trail.append((s.epoch, whole(s))))
    assert [epoch for epoch, _ in trail] == [*range(1, 12), 7, *range(8, 15)]
    torch.testing.assert_close(trail[11][1], trail[6][1], rtol=0, atol=0)
    assert state.stopped is None and [e["epoch"] for e in state.history] == [*range(1, 15)]
    assert [e["rollbacks"] for e in state.history] == [0] * 7 + [1] * 7
    assert [e["weight_decay"] for e in state.history] == [5e-4] * 7 + [pytest.approx(15e-4)] * 7

    def by_hand(other):
        if other.epoch == 7:
            other.weight_optimizer.param_groups[0]["weight_decay"] = 3 * 5e-4

    plain_setup, plain = tiny(epochs=14)
    search(plain_setup, plain, after_epoch=by_hand)
    torch.testing.assert_close(whole(state), whole(plain), rtol=0, atol=0)
    assert [e["alpha"] for e in state.history] == [e["alpha"] for e in plain.history]
    unraised_setup, unraised = tiny(epochs=14)
    search(unraised_setup, unraised)
    assert not torch.equal(state.architecture["alpha"], unraised.architecture["alpha"])


@pytest.mark.parametrize(
    ("parameters", "decays"),
    [
        ({"times": 2}, [5e-4, 15e-4, 45e-4]),
        ({"times": 9, "factor": 10.0}, [5e-4, 5e-3]),  # 5e-2 would exceed 0.0243
        ({"times": 9, "most": 45e-4}, [5e-4, 15e-4, 45e-4]),  # which itself is allowed
    ],
)
def test_ada_goes_back_so_many_times_at_most_and_not_beyond_a_return(
    parameters, decays, tiny, script
):
    script(lambda setup, state: 2.0**state.epoch)
    setup, state = tiny({**THREEFOLD, **parameters}, epochs=12)
    seen, epochs = [], []

    def note(s):
        seen.append(s.weight_optimizer.param_groups[0]["weight_decay"])
        epochs.append(s.epoch)
        kept = s.memory["darts_ada"].get("states", {})
        assert len(kept) <= 5 and all(e <= s.epoch for e in kept)

    search(setup, state, after_epoch=note)
    assert list(dict.fromkeys(seen)) == pytest.approx(decays)
    # From epoch 10 on every epoch would act; after a return to 5, five new ones come first.
    returns = [5] * (len(decays) - 1)
    expected = [*range(1, 10)]
    for target in returns:
        expected += [target, *range(target + 1, 10)]
    assert epochs == [*expected, 10, 11, 12]
    assert state.stopped is None and "states" not in state.memory["darts_ada"]


def test_ada_takes_along_what_other_variants_remember(tiny, script):
    """Stages of 4 epochs: a return from 10 to 5 is within the second, to before the third."""
    script(lambda setup, state: 2.0**state.epoch)
    shrinking = {"name": "operation_shrinking", "keep": [4, 2], "warmup": 0, "restart": False}
    once = {**THREEFOLD, "times": 1}
    for order in ([shrinking, once], [once, shrinking]):
        setup, state = tiny(*order, epochs=12)
        kept = []
        search(
            setup,
            state,
            after_epoch=lambda s, kept=kept: kept.append(
                len(s.memory.get("operation_shrinking", [range(5)])[0])
            ),
        )
        assert kept == [5, 5, 5, 4, 4, 4, 4, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("name", "pause"),
    [("hessian_early_stop", 11), ("darts_ada", 11), ("darts_ada", 12), ("darts_ada", 15)],
)
def test_a_resumed_search_goes_on_bit_for_bit(name, pause, tiny, script):
    """Before a stop or a return, right after it, and later."""
    script(stubborn)
    setup, straight = tiny(name, epochs=14)
    search(setup, straight)
    buffer, calls = io.BytesIO(), []
    setup, state = tiny(name, epochs=14)

    class Pause(Exception):
        pass

    def save(state):
        calls.append(state.epoch)
        if len(calls) == pause:
            torch.save(state.to_dict(), buffer)
            raise Pause

    with pytest.raises(Pause):
        search(setup, state, after_epoch=save)
    buffer.seek(0)
    setup, resumed = tiny(name, epochs=14)
    resumed.load_dict(torch.load(buffer, weights_only=True))
    search(setup, resumed)
    torch.testing.assert_close(whole(resumed), whole(straight), rtol=0, atol=0)
    assert resumed.stopped == straight.stopped and resumed.history == straight.history
    assert (straight.stopped is not None) == (name == "hessian_early_stop")
