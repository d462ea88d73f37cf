"""A checkpoint whose checksum is right is used only if it fits what was built."""

import copy

import pytest
import torch

from bench.contracts import registry
from bench.contracts.executor import Outcome
from bench.runs import checkpoint, store
from bench.runs.fit import MisfitError
from bench.runs.provenance import known_legs
from bench.runs.restore import restore
from bench.runs.run import execute
from bench.search.loop import Interrupted, search
from bench.search.setup import build, initial_state
from tests.executors.common import same_bits, specs

SMALL = ("search.epochs=4", "ranking=null", "truth=null", "instruments=[cell]", "data.size=64")


def stop_after(steps):
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Return a run, its setup, and what its checkpoint held in its third epoch."""
    (run,) = specs(*SMALL, only=["skip_dropout_0.3"])
    folder = tmp_path_factory.mktemp("broken") / run.folder
    steps = build(run.settings, run.variants, run.seed).steps_per_epoch
    assert execute(run, folder, stop_after(2 * steps + 2)) is Outcome.INTERRUPTED
    return (
        run,
        build(run.settings, run.variants, run.seed),
        checkpoint.load(folder / "checkpoint.pt"),
    )


def first(mapping):
    return next(iter(mapping))


def put(*path):
    """Return a mutation that sets what is at a path."""
    *way, last, value = path

    def change(saved):
        for key in way:
            saved = saved[key]
        saved[last] = value

    return change


def at(*path, do):
    """Return a mutation that replaces what is at a path by a function of it."""
    *way, last = path

    def change(saved):
        for key in way:
            saved = saved[key if key != 0 or isinstance(saved, list) else first(saved)]
        key = first(saved) if last == 0 and isinstance(saved, dict) and 0 not in saved else last
        saved[key] = do(saved[key])

    return change


def drop(*path):
    """Return a mutation that removes what is at a path."""
    *way, last = path

    def change(saved):
        for key in way:
            saved = saved[key]
        del saved[first(saved) if last == 0 and isinstance(saved, dict) else last]

    return change


W, A = "weight_optimizer", "architecture_optimizer"
MUTATIONS = {
    "alpha of one row": at("architecture", "alpha", do=lambda a: a[0]),
    "alpha of one number": at("architecture", "alpha", do=lambda a: a[:1, :1]),
    "alpha transposed": at("architecture", "alpha", do=lambda a: a.T.contiguous()),
    "alpha with an edge more": at("architecture", "alpha", do=lambda a: torch.cat([a, a[:1]])),
    "alpha in float64": at("architecture", "alpha", do=torch.Tensor.double),
    "alpha in float16": at("architecture", "alpha", do=torch.Tensor.half),
    "alpha of whole numbers": at("architecture", "alpha", do=torch.Tensor.long),
    "alpha is NaN": at("architecture", "alpha", do=lambda a: a * float("nan")),
    "alpha is a list": at("architecture", "alpha", do=torch.Tensor.tolist),
    "alpha sparse": at("architecture", "alpha", do=torch.Tensor.to_sparse),
    "alpha is missing": drop("architecture", "alpha"),
    "another architecture parameter": put("architecture", "beta", torch.zeros(3)),
    "weights in float16": at("supernet", 0, do=torch.Tensor.half),
    "weights in float64": at("supernet", 0, do=torch.Tensor.double),
    "weights in bfloat16": at("supernet", 0, do=torch.Tensor.bfloat16),
    "weights of one output": at("supernet", 0, do=lambda w: w[:1]),
    "weights are infinite": at("supernet", 0, do=lambda w: w + float("inf")),
    "weights are missing": drop("supernet", 0),
    "weights of another network": put("supernet", "more", torch.zeros(1)),
    "Adam without its count": drop(A, "state", 0, "step"),
    "Adam without a moment": drop(A, "state", 0, "exp_avg"),
    "SGD with another's moment": at(W, "state", 0, do=lambda s: {"exp_avg": s["momentum_buffer"]}),
    "another weight decay": put(W, "param_groups", 0, "weight_decay", 0.5),
    "no weight decay": put(W, "param_groups", 0, "weight_decay", 0),
    "another momentum": put(W, "param_groups", 0, "momentum", 0.0),
    "another dampening": put(W, "param_groups", 0, "dampening", 0.5),
    "Nesterov or not": at(W, "param_groups", 0, "nesterov", do=lambda n: not n),
    "maximising": put(W, "param_groups", 0, "maximize", True),
    "another learning rate": at(W, "param_groups", 0, "lr", do=lambda lr: lr * 0.99),
    "a learning rate that is none": put(W, "param_groups", 0, "lr", float("nan")),
    "fewer parameters": at(W, "param_groups", 0, "params", do=lambda p: p[:-1]),
    "parameters in another order": at(W, "param_groups", 0, "params", do=lambda p: p[::-1]),
    "two groups": at(W, "param_groups", do=lambda g: [*g, *g]),
    "momentum of one output": at(W, "state", 0, "momentum_buffer", do=lambda m: m[:1]),
    "momentum in float16": at(W, "state", 0, "momentum_buffer", do=torch.Tensor.half),
    "momentum of no parameter": put(W, "state", 10_000, {}),
    "another learning rate of alpha": put(A, "param_groups", 0, "lr", 1.0),
    "other betas": put(A, "param_groups", 0, "betas", (0.9, 0.999)),
    "another epsilon": put(A, "param_groups", 0, "eps", 1e-2),
    "another weight decay of alpha": put(A, "param_groups", 0, "weight_decay", 1.0),
    "AMSGrad": put(A, "param_groups", 0, "amsgrad", True),
    "a mean of one row": at(A, "state", 0, "exp_avg", do=lambda m: m[:1]),
    "a mean in float64": at(A, "state", 0, "exp_avg_sq", do=torch.Tensor.double),
    "a step beyond the search": at(A, "state", 0, "step", do=lambda s: s + 10_000),
    "half a step": at(A, "state", 0, "step", do=lambda s: s + 0.5),
    "an epoch beyond the end": put("epoch", 5),
    "an epoch before the first": put("epoch", -1),
    "an earlier epoch": put("epoch", 1),
    "half an epoch": put("epoch", 2.0),
    "the next epoch's step": at("step", do=lambda s: s + 10_000),
    "an earlier step": put("step", 0),
    "a step that is true": put("step", True),
    "a history cut short": at("history", do=lambda h: h[:-1]),
    "a history twice": at("history", do=lambda h: h + h),
    "a history in another order": at("history", do=lambda h: h[::-1]),
    "a history without alpha": drop("history", 0, "alpha"),
    "a history of another alpha": put("history", 0, "alpha", [1.0]),
    "more images than there are": put("running", "seen", 1e9),
    "more right than seen": at("running", do=lambda r: {**r, "right": r["seen"] + 1}),
    "a sum that is missing": drop("running", "loss"),
    "a loss that is NaN": put("running", "loss", float("nan")),
    "a memory that is a list": put("memory", []),
    "a memory of another variant": put("memory", "darts_ada", {"weight_decay": 1.0}),
    "no Nesterov": drop(W, "param_groups", 0, "nesterov"),
    "no momentum": drop(W, "param_groups", 0, "momentum"),
    "no step": drop(A, "state", 0, "step"),
    "a learning rate in a list": at(W, "param_groups", 0, "lr", do=lambda lr: [lr]),
    "no betas": drop(A, "param_groups", 0, "betas"),
    "something learned along": put("hypergradient", "x", torch.zeros(1)),
    "stopped in another epoch": put("stopped", {"reason": "x", "epoch": 9}),
    "stopped for no reason": put("stopped", {"epoch": 1}),
    "another arithmetic": at("compiled", do=lambda c: not c),
    "arithmetic that is text": put("compiled", "yes"),
    "graphs that nobody asked for": put("inductor", True),
    "no memory": drop("memory"),
    "legs that are text": put("legs", ["x"]),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_checkpoint_that_does_not_fit_is_used(broken, name):
    _, setup, saved = broken
    changed = copy.deepcopy(saved)
    MUTATIONS[name](changed)
    with pytest.raises(MisfitError) as caught:
        restore(setup, initial_state(setup), changed)
        known_legs(changed)
    assert "\n" not in str(caught.value)


def test_there_are_at_least_46_and_the_unchanged_one_fits(broken):
    _, setup, saved = broken
    assert len(MUTATIONS) >= 46
    restore(setup, initial_state(setup), copy.deepcopy(saved))
    assert len(known_legs(saved)) == 1


def test_a_run_sets_aside_what_does_not_fit_and_starts_again(broken, tmp_path):
    run, _, saved = broken
    whole, folder = tmp_path / "whole", tmp_path / run.folder
    assert execute(run, whole) is Outcome.OK
    changed = copy.deepcopy(saved)
    MUTATIONS["alpha of one row"](changed)
    checkpoint.save(folder / store.CHECKPOINT, run.digest, changed)
    refused = (folder / store.CHECKPOINT).read_bytes()
    assert execute(run, folder) is Outcome.OK
    assert (folder / store.REFUSED).read_bytes() == refused
    same_bits(folder, whole)


@pytest.mark.parametrize("name", ["", *registry.names("variants")])
def test_every_variant_s_own_checkpoints_fit(small, tmp_path, name):
    member = registry.load("variants", name) if name else None
    variants = [registry.parse("variants", name)] if name else []
    changes = {"selection": member.default_selection or "argmax"} if member else {}
    settings = small(**changes)
    setup = build(settings, variants, 0)
    state, again = initial_state(setup), initial_state(setup)
    with pytest.raises(Interrupted):
        search(setup, state, asked_to_stop=stop_after(setup.steps_per_epoch + 1))
    checkpoint.save(tmp_path / "c.pt", "me", state.to_dict())
    restore(setup, again, checkpoint.load(tmp_path / "c.pt", "me"))
    search(setup, state)
    search(setup, again)
    assert store.finite(again.history) == store.finite(state.history)


@pytest.mark.parametrize("name", ["stn", "darts_second_order", "neumann"])
def test_every_kind_of_hypergradient_s_own_checkpoints_fit(small, tmp_path, name):
    setup = build(small(hypergradient=name), [], 0)
    state = initial_state(setup)
    with pytest.raises(Interrupted):
        search(setup, state, asked_to_stop=stop_after(3))
    checkpoint.save(tmp_path / "c.pt", "me", state.to_dict())
    restore(setup, initial_state(setup), checkpoint.load(tmp_path / "c.pt", "me"))
