"""When a loss is reached, and the networks of a single operation that it is meant for."""

import math

import pytest
import torch
from torch.nn import functional as F

from bench.ablation.yamlfile import ConfigError
from bench.contracts import registry
from bench.instruments._inside import probe
from bench.instruments.loss_crossing import crossing
from bench.metrics import metric
from bench.search.composition import Composition, ContradictionError
from bench.search.loop import search
from bench.search.setup import build, initial_state
from tests.ablation.test_config import GOOD, read


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.5, 0.5], 2.5),  # halfway between the second and the third
        ([2.0, 1.0, 1.5, 0.2], 2.0),  # the first time counts
        ([0.9, 1.4, 0.1], 1.0),  # there at the first reading
        ([2.0, 1.5, 1.1], math.nan),
        ([2.0, math.nan, 0.5], math.nan),
    ],
)
def test_crossing(losses, expected):
    readings = list(enumerate(losses, start=1))
    assert crossing(readings, 1.0) == pytest.approx(expected, nan_ok=True)


def test_sparse_readings_are_interpolated_over_their_epochs():
    assert crossing([(5, 3.0), (10, 2.0), (20, 0.0)], 1.5) == 12.5


def test_a_search_reports_when_its_own_readings_crossed(small):
    instrument = {"name": "loss_crossing", "loss": 2.2, "batches": 2}
    setup = build(small(instruments=[instrument], search={"epochs": 8, "batch": 16}), [], 0)
    state = initial_state(setup)
    search(setup, state)
    losses = [(entry["epoch"], entry["crossing_loss"]) for entry in state.history]
    reached = crossing(losses, 2.2)
    assert 1 <= reached < 8
    last = state.history[-1]
    assert last["crossing_epochs"] == reached and last["crossing_steps"] == reached * 4
    assert math.isnan(state.history[0]["crossing_epochs"]) or reached == 1
    with torch.no_grad():
        own = [
            F.cross_entropy(state.supernet(b.images, setup.mixture(state)), b.labels).item()
            for b in probe(setup, "loss_crossing", 2, "train")
        ]
    assert last["crossing_loss"] == pytest.approx(sum(own) / 2, rel=1e-5)


def test_several_losses_have_readings_of_their_own(small):
    search_of = {"epochs": 6, "batch": 16}
    ends = []
    for loss in (2.2, [2.2, 0.01]):
        instrument = {"name": "loss_crossing", "loss": loss, "batches": 2}
        setup = build(small(instruments=[instrument], search=search_of), [], 0)
        state = initial_state(setup)
        search(setup, state)
        ends.append(state.history[-1])
    one, both = ends
    assert both["crossing_epochs_2.2"] == one["crossing_epochs"]
    assert both["crossing_steps_2.2"] == one["crossing_steps"]
    assert math.isnan(both["crossing_epochs_0.01"]) and "crossing_epochs" not in both
    assert metric("crossing_epochs_0.01").censored
    with pytest.raises(ValueError):
        registry.parse("instruments", {"name": "loss_crossing", "loss": [1.0, -1.0]})


@pytest.mark.parametrize("only", ["skip_connect", "nor_conv_3x3", "none"])
def test_a_single_operation_is_the_discretised_network(small, only):
    variant = registry.parse("variants", {"name": "single_operation", "only": only})
    setup = build(small(), [variant], 0)
    state = initial_state(setup)
    alpha = state.architecture["alpha"].detach().clone()
    search(setup, state)
    assert torch.equal(alpha, state.architecture["alpha"])
    cell = registry.parse("selection", "argmax").select(setup, state)
    assert cell == (setup.space.operations.index(only),) * 6
    network = setup.space.network(cell, 1, 10, seed=3)
    network.inherit(state.supernet)
    batch = setup.batch("train", 0)
    with torch.no_grad():
        logits = setup.logits(
            state, setup.moment(state, "weights"), batch, setup.mixture(state), pure=True
        )
        torch.testing.assert_close(logits, network(batch.images), rtol=1e-4, atol=1e-5)
        if only == "none":  # nothing of the image passes
            assert (logits - logits[0]).abs().max() < 1e-5
    if only != "nor_conv_3x3":
        return  # convolutions that are never run only decay
    untouched = build(small(), [], 0)
    before = dict(initial_state(untouched).supernet.named_parameters())
    moved = {n for n, p in state.supernet.named_parameters() if not torch.equal(p, before[n])}
    convolutions = {n for n in moved if ".conv3." in n or ".conv1." in n}
    assert ("head.classifier.bias" in moved) and bool(convolutions)


def test_what_single_operation_refuses(tmp_path):
    wrong = GOOD.replace("  a: {}", "  a:\n    single_operation: {only: skip_conect}")
    with pytest.raises(ConfigError, match=r"x\.yaml:5: .*did you mean 'skip_connect'\?"):
        read(tmp_path, wrong)
    space = registry.parse("spaces", "nb201")
    both = [registry.parse("variants", v) for v in ("single_operation", "weight_warmup")]
    with pytest.raises(ContradictionError, match="single_operation and weight_warmup leave"):
        Composition(both, space)
    conv = registry.parse("variants", {"name": "single_operation", "only": "nor_conv_1x1"})
    Composition([conv, both[1]], space)
