"""Variants that act over epochs: warm-ups, stages, early stops; and that they survive a resume."""

import io

import pytest
import torch

from bench.contracts import registry
from bench.contracts.stages import stage, within_stage
from bench.search.loop import search
from bench.search.setup import initial_state
from bench.variants._durations import in_epochs


def parse(name, **parameters):
    return registry.parse("variants", {"name": name, **parameters})


def test_durations_are_epochs_from_one_on_and_shares_below():
    assert in_epochs(15, 100) == 15 and in_epochs(0.3, 50) == pytest.approx(15)
    assert [stage(e, 75, 3) for e in (0, 24, 25, 49, 50, 74, 75)] == [0, 0, 1, 1, 2, 2, 2]
    assert within_stage(35, 75, 3) == pytest.approx(0.4) and within_stage(50, 75, 3) == 0


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("architecture_warmup", range(15)),
        ("partial_channels", range(15)),
        ("weight_warmup", range(15)),
        ("operation_shrinking", [e for e in range(50) if (e * 3 / 50) % 1 < 0.4]),
    ],
)
def test_alpha_waits_for_the_warm_up(name, frozen, at):
    variant = parse(name)
    updates = [e for e in range(50) if not variant.updates_architecture(at(epoch=e))]
    assert updates == list(frozen)


def test_alpha_never_moves_without_an_end_and_weights_stand_still_in_a_freeze(at, tiny):
    never = parse("architecture_warmup", preset="fixed_alpha")
    assert not any(never.updates_architecture(at(epoch=e)) for e in range(50))
    freeze = parse("weight_freeze", epochs=10)
    assert [freeze.updates_weights(at(epoch=e)) for e in (0, 9, 10, 49)] == [
        False,
        False,
        True,
        True,
    ]
    setup, state = tiny({"name": "weight_freeze", "epochs": 3})
    before = [p.clone() for p in state.supernet.parameters()]
    alpha = state.architecture["alpha"].detach().clone()
    search(setup, state)
    assert all(map(torch.equal, before, state.supernet.parameters()))
    assert not torch.equal(alpha, state.architecture["alpha"])
    assert all(entry["train_loss"] != entry["train_loss"] for entry in state.history)


def test_weight_warm_up_mixes_operations_with_weights_only(tiny):
    setup, state = tiny({"name": "weight_warmup", "epochs": 1})
    mixture = setup.composition.mixture(state.architecture, setup.moment(state, "weights"))
    alpha = state.architecture["alpha"]
    torch.testing.assert_close(mixture[:, 2:4], alpha[:, 2:4].softmax(-1))
    assert mixture[:, [0, 1, 4]].abs().max() == 0
    state.epoch = 1
    mixture = setup.composition.mixture(state.architecture, setup.moment(state, "weights"))
    assert torch.equal(mixture, alpha.softmax(-1))


def test_shrinking_keeps_the_strongest(tiny):
    still = {"lr": 0.0}  # alpha stays as it is set below, weight decay has nothing to scale
    entry = {"name": "operation_shrinking", "keep": [3, 2], "warmup": 0, "restart": False}
    setup, state = tiny(entry, architecture=still)
    seen = []

    def note(state):
        seen.append([list(row) for row in state.memory.get("operation_shrinking", [])])

    alpha = state.architecture["alpha"]
    with torch.no_grad():
        alpha.copy_(torch.arange(30.0).view(6, 5).remainder(7))
    ranked = alpha.argsort(descending=True, stable=True)
    search(setup, state, after_epoch=note)
    assert seen[0] == [sorted(row[:3]) for row in ranked.tolist()]  # epoch 1 of 3: a stage is over
    assert all(set(two) < set(three) for two, three in zip(seen[1], seen[0], strict=True))
    assert all(len(row) == 2 for row in seen[2]) and seen[1] == seen[2]
    cell = tuple(setup.mixture(state).argmax(-1).tolist())
    assert all(o in row for o, row in zip(cell, seen[2], strict=True))


def test_shrinking_restarts_weights_and_alpha_or_does_not(tiny):
    for restart in (True, False):
        entry = {"name": "operation_shrinking", "keep": [3], "warmup": 0, "restart": restart}
        setup, state = tiny(entry, epochs=2)
        fresh = initial_state(setup)
        moments = []

        def note(state, moments=moments):
            moments.append(
                (len(state.weight_optimizer.state), state.architecture["alpha"].abs().max())
            )

        search(setup, state, after_epoch=note)
        buffers, alpha = moments[0]
        assert (buffers == 0) is restart and (alpha.item() < 0.01) is restart
        assert state.epoch == 2 and len(state.history) == 2
        assert fresh.architecture["alpha"].shape == state.architecture["alpha"].shape


def test_progressive_drnas_widens_with_copies_and_drops_operations(tiny):
    entry = {"name": "drnas", "K": [4, 2], "keep": [3], "warmup": 0}
    setup, state = tiny(entry, epochs=2)
    cell = state.supernet.blocks[0]
    assert (
        cell.partial == 2
        and setup.composition.hooks(state.architecture, setup.moment(state, "weights")).partial == 4
    )
    weights = [p for m in (*cell.conv3, *cell.conv1) for p in m.parameters()]
    before = [w.detach().clone() for w in weights]
    grown = []

    def note(state):
        if state.epoch == 1:
            grown.extend(w.detach().clone() for w in weights)
            assert state.memory["drnas"]["stage"] == 1
            assert all(len(row) == 3 for row in state.memory["drnas"]["kept"])
            hooks = setup.composition.hooks(state.architecture, setup.moment(state, "weights"))
            assert hooks is None  # as built: a half
            for w in weights:  # C = 4: one channel was trained, the second copies it
                momentum = state.weight_optimizer.state[w]["momentum_buffer"]
                for tensor in (w, momentum):
                    for edge in range(0, len(tensor), 2):
                        block = tensor[edge : edge + 2]
                        assert torch.equal(block[0], block[1])
                        assert torch.equal(block[:, 0], block[:, 1])

    search(setup, state, after_epoch=note)
    assert grown and all(not torch.equal(a, b) for a, b in zip(before, grown, strict=True))


def test_drnas_refuses_stages_that_do_not_fit():
    for wrong in ({"K": [2, 4]}, {"K": [4, 2], "keep": [3, 2]}, {"K": []}, {"keep": [3]}):
        with pytest.raises(ValueError, match=r"K|keep"):
            parse("drnas", **wrong)


@pytest.mark.parametrize(
    "variants",
    [
        [{"name": "drnas", "K": [4, 2], "keep": [3], "warmup": 0}],
        [{"name": "operation_shrinking", "keep": [3, 2]}],
        ["fair_sampling"],
        ["partial_channels"],
    ],
)
def test_a_resumed_search_goes_on_bit_for_bit(variants, tiny):
    setup, straight = tiny(*variants, epochs=4)
    search(setup, straight)
    buffer = io.BytesIO()
    setup, stopped = tiny(*variants, epochs=4)

    class Pause(Exception):
        pass

    def pause(state):
        if state.epoch == 2:
            torch.save(state.to_dict(), buffer)
            raise Pause

    with pytest.raises(Pause):
        search(setup, stopped, after_epoch=pause)
    buffer.seek(0)
    _, resumed = tiny(*variants, epochs=4)
    resumed.load_dict(torch.load(buffer, weights_only=True))
    search(setup, resumed)
    assert torch.equal(straight.architecture["alpha"], resumed.architecture["alpha"])
    assert all(
        map(torch.equal, straight.supernet.parameters(), resumed.supernet.parameters())
    ) and str(straight.history) == str(resumed.history)


def alphas(*rows):
    return [{"alpha": [row] * 6} for row in rows]


def test_darts_plus_stops_at_skips_or_a_settled_ranking_but_not_before_its_guard(tiny):
    setup, state = tiny({"name": "darts_plus", "start": 2}, epochs=50)
    variant = setup.composition.variants[0]
    with torch.no_grad():
        state.architecture["alpha"].zero_()[:2, 1] = 1.0
    state.epoch = 1
    assert variant.stop(setup, state) is None
    state.epoch = 2
    assert "2 skip" in variant.stop(setup, state).reason
    assert parse("darts_plus", skips=3, start=0).stop(setup, state) is None

    ranking = parse("darts_plus", preset="ranking", stable=3)
    turned, kept = [0, 0, 0.1, 0.2, 0], [0, 5, 0.3, 0.4, 9]  # of the convolutions; skips may move
    state.history = alphas([0, 0, 0.2, 0.1, 0], turned, kept)
    assert ranking.stop(setup, state) is None
    state.history = alphas(turned, kept, turned)
    assert "3 epochs" in ranking.stop(setup, state).reason
    state.history = state.history[1:]
    assert ranking.stop(setup, state) is None
