"""Every estimator drives a search by its name: finite, reproducible, resumable, with variants."""

from __future__ import annotations

import pytest
import torch

from bench.ablation.file import read_ablation
from bench.contracts import registry
from bench.hypergradients._inner import start, trajectory
from bench.runs import checkpoint
from bench.search.loop import Interrupted, architecture_step, search, weight_step
from bench.search.setup import build, initial_state

NAMES = registry.names("hypergradients")
DROPOUT = {"name": "skip_dropout", "rate": 0.5, "schedule": "linear"}
IN_LOOP = {"name": "stn", "in_loop": True, "pairs": 1}


def cheap(name):
    """Return an estimator as a file would say it, with every horizon and count at two."""
    known = registry.load("hypergradients", name).model_fields
    return {"name": name, **{key: 2 for key in ("T", "K", "k", "pairs") if key in known}}


@pytest.fixture
def tiny(small):
    def settings(hypergradient, epochs=1, **changes):
        return small(
            **{
                "data": {"name": "digits", "size": 64},
                "search": {"epochs": epochs, "batch": 16, "architecture": {"lr": 3e-3}},
                "hypergradient": hypergradient,
                "instruments": ["cell"],
                **changes,
            }
        )

    return settings


def started(settings, variants=(), seed=0):
    setup = build(settings, [registry.parse("variants", v) for v in variants], seed)
    return setup, initial_state(setup)


def everything(state):
    return [
        *state.supernet.state_dict().values(),
        *state.architecture.values(),
        *state.hypergradient.values(),
    ]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(everything(a), everything(b), strict=True))


@pytest.mark.parametrize(
    "hypergradient", [*map(cheap, NAMES), IN_LOOP], ids=[*NAMES, "stn in the loop"]
)
def test_a_search_with_it_and_a_variant(hypergradient, tiny):
    """One epoch with skip dropout: finite, moved, twice the same, global stream untouched."""
    ends = []
    for junk in (0, 1):
        torch.manual_seed(junk)
        before = torch.get_rng_state()
        one_step = {"name": "digits", "size": 32}
        setup, state = started(tiny(hypergradient, data=one_step), [DROPOUT])
        first = state.architecture["alpha"].detach().clone()
        search(setup, state)
        assert torch.equal(before, torch.get_rng_state())
        assert all(torch.isfinite(value).all() for value in everything(state))
        assert not torch.equal(first, state.architecture["alpha"])
        ends.append(state)
    assert same(*ends)
    assert bool(ends[0].hypergradient) == setup.hypergradient.trains


@pytest.mark.parametrize("variant", registry.names("variants"))
def test_the_two_most_demanding_go_with_every_variant(variant, tiny):
    """One differentiates through T steps of it, the other lives in them."""
    for hypergradient in (IN_LOOP, cheap("reverse")):
        setup, state = started(tiny(hypergradient, data={"name": "digits", "size": 32}), [variant])
        search(setup, state)
        assert all(torch.isfinite(value).all() for value in everything(state))


@pytest.mark.parametrize(
    "hypergradient", [IN_LOOP, cheap("reverse")], ids=["stn in the loop", "reverse"]
)
@pytest.mark.parametrize("variants", [[], [DROPOUT]], ids=["alone", "with skip dropout"])
def test_a_resumed_search_is_the_same_bit_for_bit(hypergradient, variants, tiny, tmp_path):
    settings = tiny(hypergradient, epochs=2)
    setup, whole = started(settings, variants)
    search(setup, whole)
    for stop_at in (1, 3):
        setup, first = started(settings, variants)
        with pytest.raises(Interrupted):
            search(setup, first, asked_to_stop=lambda s=first, n=stop_at: s.step == n)
        checkpoint.save(tmp_path / "c.pt", "x", first.to_dict())
        _, second = started(settings, variants)
        second.load_dict(checkpoint.load(tmp_path / "c.pt", "x"))
        search(setup, second)
        assert same(whole, second), f"stopped after {stop_at} steps"


def test_an_ablation_file_names_it(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "question: q\ncontrast: {metric: skip_count, of: a, against: b}\nvariants:\n"
        "  a: {hypergradient: {name: reverse, T: 5}}\n  b: {}\n"
        "  c: {hypergradient: {name: stn, in_loop: true}, skip_dropout: {rate: 0.3}}\n"
    )
    a, b, c = (arm.settings.hypergradient for arm in read_ablation(file, "smoke").arms)
    assert (a.name, a.T, b.name, c.in_loop) == ("reverse", 5, "first_order", True)


@pytest.mark.parametrize("order", ["weights_first", "architecture_first"])
def test_a_look_ahead_is_what_the_search_goes_on_to_do(order, tiny):
    """The T inner steps of an estimator end at the weights that T weight steps end at.

    Masks of variants, images, momentum, clipping and all; the rate is held, as the look-ahead does.
    """
    weights = {"lr": 0.05, "lr_min": 0.05, "clip": 0.5}
    settings = tiny(
        "first_order", search={"epochs": 4, "batch": 16, "order": order, "weights": weights}
    )
    setup, state = started(settings, [DROPOUT])
    for _ in range(3):
        weight_step(setup, state)
        state.step += 1
        state.epoch = state.step // setup.steps_per_epoch
    if order == "weights_first":  # the architecture step comes when this step's weights are done
        weight_step(setup, state)
    first = state.step + (order == "weights_first")
    batches = [setup.batch("train", first + i) for i in range(3)]
    problem = setup.problem(state)
    *_, (ahead, momentum) = trajectory(problem, start(problem), batches)
    for step in range(first, first + 3):
        state.step, state.epoch = step, step // setup.steps_per_epoch
        weight_step(setup, state)
    for name, weight in state.supernet.named_parameters():
        torch.testing.assert_close(ahead[name], weight.detach(), rtol=1e-4, atol=1e-6)
        buffer = state.weight_optimizer.state[weight]["momentum_buffer"]
        torch.testing.assert_close(momentum[name], buffer, rtol=1e-3, atol=1e-5)


def test_stn_in_the_loop_is_its_own_formulas(tiny):
    """The weights descend its gradient through clip and SGD, and follow λ by the response."""
    setup, state = started(tiny({**IN_LOOP, "scale": 0.5}))
    stn, weights = setup.hypergradient, dict(state.supernet.named_parameters())
    before = {name: w.detach().clone() for name, w in weights.items()}
    problem = setup.problem(state)
    gradient, response = stn.train_step(problem, state.hypergradient, setup.batch("train", 0), 0)
    weight_step(setup, state)
    assert all(torch.equal(response[n], value) for n, value in state.hypergradient.items())
    assert any(value.any() for n, value in response.items() if n.startswith("rows."))
    norm = torch.sqrt(sum((g**2).sum() for g in gradient.values()))
    o = setup.settings.search.weights
    for name, old in before.items():
        step = gradient[name] * min(1.0, o.clip / (norm + 1e-6)) + o.weight_decay * old
        torch.testing.assert_close(weights[name].detach(), old - o.lr * (1 + o.momentum) * step)

    middle = {name: w.detach().clone() for name, w in weights.items()}
    alpha = state.architecture["alpha"].detach().clone()
    architecture_step(setup, state)
    moved = {"alpha": state.architecture["alpha"].detach() - alpha}
    for name, value in stn.absorb(middle, state.hypergradient, moved).items():
        torch.testing.assert_close(weights[name].detach(), value)
    assert any(not torch.equal(middle[name], w) for name, w in weights.items())


def test_stn_in_the_loop_sees_what_variants_add_to_the_mixture(tiny):
    setup, state = started(tiny(IN_LOOP))
    batch, shift = setup.batch("train", 0), torch.full((6, 5), 0.1)
    problem = setup.problem(state, shift)
    found = problem.train_loss(problem.weights, problem.architecture, batch)
    logits = state.supernet(batch.images, state.architecture["alpha"].softmax(-1) + shift)
    expected = torch.nn.functional.cross_entropy(logits, batch.labels)
    torch.testing.assert_close(found, expected)


def test_a_pure_estimator_leaves_nothing_in_the_state(tiny):
    _, state = started(tiny("stn"))
    assert state.hypergradient == {}
