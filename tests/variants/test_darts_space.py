"""The DARTS space with every variant, hypergradient, selection rule and instrument."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from bench.contracts import registry
from bench.contracts.hypergradient import Trained
from bench.instruments.hypergradient_bias import skip_direction
from bench.search import hypergradient as estimation
from bench.search.composition import Composition, ContradictionError
from bench.search.loop import search
from bench.search.settings import Settings
from bench.search.setup import build, initial_state

NAMES = registry.names("variants")
SHORT = {"T": 1, "K": 1, "k": 1, "pairs": 1}
CHANNELS = {"channels": 4, "layers": 3}
MIXED = {"operations": ["none", "skip_connect", "max_pool_3x3", "sep_conv_3x3"], "nodes": 1}
SPACES = {
    "full": {"nodes": 2},
    "s1": {"preset": "s1"},
    "s3": {"preset": "s3", "nodes": 2},
    "s4": {"preset": "s4", "nodes": 2},
}


@pytest.fixture(scope="module")
def tiny():
    """Return a function that gives a setup and its initial state for a space and variants."""
    data = {}

    def make(space, *variants, epochs=1, seed=0, **changes):
        settings = Settings.model_validate(
            {
                "space": {"name": "darts", **CHANNELS, **space},
                "data": {"name": "digits", "size": 32},
                "search": {"epochs": epochs, "batch": 16, "architecture": {"lr": 3e-2}},
                "device": "cpu",
                "ranking": None,
                "selection": "argmax",
                "instruments": ["cell"],
                **changes,
            }
        )
        if not data:
            data["plain"] = build(settings, [], seed=0)
        found = [registry.parse("variants", v) for v in variants]
        setup = replace(
            data["plain"],
            settings=settings,
            space=settings.space,
            seed=seed,
            hypergradient=settings.hypergradient,
            composition=Composition(found, settings.space),
        )
        return setup, initial_state(setup)

    return make


def sound(setup, state):
    assert all(torch.isfinite(value).all() for value in state.architecture.values())
    assert all(torch.isfinite(p).all() for p in state.supernet.parameters())
    cell = setup.settings.selection.select(setup, state)
    assert setup.space.decode(setup.space.encode(cell)) == cell
    for edge, operation in enumerate(cell):
        assert operation == -1 or operation in setup.space.present[edge]


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_searches_every_subset_reproducibly(name, tiny):
    before = torch.get_rng_state()
    for label, epochs in (("full", 1), ("s1", 1), ("s4", 3)):
        try:
            setup, state = tiny(SPACES[label], name, epochs=epochs)
        except ValueError as refusal:  # no edge of S4 and few of S1 have a skip to be alone
            assert label != "full" and name == "single_operation" and name in str(refusal)
            continue
        search(setup, state)
        sound(setup, state)
        if label == "s4":
            again = tiny(SPACES[label], name, epochs=epochs)[1]
            search(setup, again)
            assert torch.equal(state.architecture["alpha"], again.architecture["alpha"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("first", NAMES)
def test_it_runs_with_every_other_or_the_two_are_refused_with_a_sentence(first, tiny):
    for second in NAMES[NAMES.index(first) + 1 :]:
        try:
            setup, state = tiny(MIXED, first, second)
        except ContradictionError as refusal:
            assert first in str(refusal) and second in str(refusal), refusal
            continue
        search(setup, state)
        sound(setup, state)


@pytest.mark.parametrize("estimator", registry.names("hypergradients"))
def test_every_hypergradient(estimator, tiny):
    kind = registry.load("hypergradients", estimator)
    short = {name: value for name, value in SHORT.items() if name in kind.model_fields}
    forms = [short, *([short | {"in_loop": True}] if issubclass(kind, Trained) else [])]
    for parameters in forms:
        for space, variants in ((MIXED, ["partial_channels"]), (SPACES["s4"], [])):
            setup, state = tiny(space, *variants)
            setup = replace(setup, hypergradient=kind(**parameters))
            state.hypergradient = estimation.initial(setup, state)
            search(setup, state)
            sound(setup, state)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", registry.names("selection"))
def test_every_selection_rule_gives_a_genotype_and_repeats_itself(name, space, tiny):
    setup, state = tiny(SPACES[space])
    fields = registry.load("selection", name).model_fields
    small = {"epochs": int(space == "s4"), "k": 5, "images": 8, "batch": 8}
    chosen = registry.parse(
        "selection", {"name": name} | {k: v for k, v in small.items() if k in fields}
    )
    before = copy.deepcopy(state.to_dict()["supernet"])
    cell = chosen.select(setup, state)
    assert cell == chosen.select(setup, state)
    assert setup.space.decode(setup.space.encode(cell)) == cell
    assert all(torch.equal(before[k], v) for k, v in state.supernet.state_dict().items())


def test_without_tuning_magnitude_is_argmax(tiny):
    for space in SPACES.values():
        setup, state = tiny(space, seed=3)
        rules = ("argmax", {"name": "magnitude_finetuned", "epochs": 0})
        first, second = (registry.parse("selection", r).select(setup, state) for r in rules)
        assert first == second


def test_perturbation_keeps_the_edges_whose_masking_costs_most(tiny, monkeypatch):
    setup, state = tiny({"preset": "s2", "nodes": 2})
    rule = registry.parse("selection", {"name": "perturbation", "epochs": 0})
    worth = [0.0, 0.0, 5.0, 1.0, 3.0, 0.0, 0.0, 2.0, 7.0, 1.0]  # node 3 loses input 1, then 2

    def score(self, setup, state, mixture):
        empty = set((mixture.sum(-1) == 0).nonzero().flatten().tolist())
        (edge,) = empty - setup.composition.variants[-1].dropped
        return 100 - int(10 * worth[edge]), 0.0

    monkeypatch.setattr(type(rule), "_score", score)
    monkeypatch.setattr(type(rule), "strongest", lambda *a: 1)
    assert rule.select(setup, state) == (1, 1, 1, -1, 1, 1, 1, 1, 1, -1)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    "name", [n for n in registry.names("instruments") if n != "hypergradient_bias"]
)
def test_every_instrument_reads_and_changes_nothing(name, space, tiny):
    setup, state = tiny(SPACES[space])
    search(setup, state)
    before = copy.deepcopy(state.to_dict())
    few = {"batches": 2} if name == "alpha_hessian" else {}
    instrument = registry.parse("instruments", {"name": name, **few})  # hundreds of α each
    reading = instrument.observe(setup, state)
    assert reading and all(isinstance(value, float) for value in reading.values())
    assert str(reading) == str(instrument.observe(setup, state))
    after = state.to_dict()
    for part in ("supernet", "architecture"):
        assert all(torch.equal(before[part][k], v) for k, v in after[part].items())


def test_the_cell_instrument_counts_both_cells_apart(tiny):
    setup, state = tiny({"nodes": 1})
    with torch.no_grad():
        alpha = torch.zeros(4, 8)
        alpha[[0, 1, 2, 3], [3, 4, 1, 6]] = 1.0  # skip, separable | pool, dilated
        state.architecture["alpha"].copy_(alpha)
    reading = registry.parse("instruments", "cell").observe(setup, state)
    assert (reading["skip_count"], reading["weight_free_share"]) == (1, 0.5)
    assert (reading["skip_count_normal"], reading["skip_count_reduce"]) == (1, 0)
    assert reading["weight_free_share_reduce"] == 0.5


def test_hypergradient_bias_says_nothing_of_skips_where_there_are_none():
    s4, s1 = (registry.parse("spaces", {"name": "darts", "preset": p}) for p in ("s4", "s1"))
    assert torch.isnan(skip_direction({"alpha": torch.zeros(28, 2)}, s4)).all()
    toward = skip_direction({"alpha": torch.zeros(28, 6)}, s1).reshape(28, 6)
    with_skip = [s1.operations.index("skip_connect") in own for own in s1.present]
    assert [bool(row.any()) for row in toward] == with_skip
    assert 0 < sum(with_skip) < 28


def test_noise_is_the_searchs_own_and_the_same_at_the_same_moment(tiny):
    setup, state = tiny({"preset": "s4", "nodes": 1})
    mixture = setup.space.one_hot((0, 0, 0, 0))  # noise alone reaches the classifier
    batch, outputs = setup.batch("valid", 0), {}
    for step in (0, 0, 1):
        moment = setup.moment(state, "weights", step)
        logits = setup.logits(state, moment, batch, mixture, pure=True)
        if step in outputs:
            assert torch.equal(outputs[step], logits)
        outputs[step] = logits
    assert not torch.equal(outputs[0], outputs[1])
    assert not setup.space.connected((0, 0, 0, 0)) and setup.space.connected((0, 1, 0, 1))


def test_sampled_paths_keep_two_edges_of_a_node(tiny):
    setup, state = tiny(SPACES["full"], "uniform_sampling")
    (variant,) = setup.composition.variants
    seen = set()
    for step in range(60):
        now = replace(setup.moment(state, "weights"), step=step)
        active = variant.active(setup.space, state.architecture, now)
        assert all(len(own) <= 1 for own in active)
        for rows in ([0, 1], [2, 3, 4], [5, 6], [7, 8, 9]):
            assert sum(map(len, (active[row] for row in rows))) == 2
        seen |= {tuple(row for row in (2, 3, 4) if active[row])}
    assert seen == {(2, 3), (2, 4), (3, 4)}


def test_partial_channels_choose_edges_by_beta(tiny):
    setup, state = tiny(SPACES["full"], "partial_channels")
    with torch.no_grad():
        state.architecture["alpha"].zero_()
        state.architecture["alpha"][:, 4] = 1.0
        state.architecture["beta"].zero_()
        state.architecture["beta"][3] = state.architecture["beta"][9] = -1.0
    cell = setup.settings.selection.select(setup, state)
    assert cell == (4, 4, 4, -1, 4, 4, 4, 4, 4, -1)
    shares = setup.strength(state)[:, 4] / setup.mixture(state)[:, 4]
    assert shares[2:5].tolist() == pytest.approx(
        torch.softmax(torch.tensor([0.0, -1.0, 0.0]), 0).tolist()
    )
    assert shares[:2].tolist() == pytest.approx([0.5, 0.5])


def test_what_cannot_be_is_refused_before_anything_runs(tiny):
    with pytest.raises(ContradictionError, match="drnas widens the supernet"):
        tiny(MIXED, {"name": "drnas", "preset": "progressive"})
    tiny(MIXED, {"name": "drnas", "K": [2, 2], "keep": [2]})
    # A table's file says whose cells it holds: see tests/truth/test_tabulate_darts.py.
    with pytest.raises(ValueError, match=r"knows cells of nb201, not of darts; say truth: null"):
        tiny(MIXED, truth="analog")


def test_weight_warmup_leaves_an_edge_without_weights_what_it_has(tiny):
    setup, state = tiny(SPACES["s1"], "weight_warmup")
    now = setup.moment(state, "weights")
    left = [{setup.space.operations[o] for o in own} for own in setup.composition.candidates(now)]
    assert left[0] == {"dil_conv_3x3"} and left[14] == {"max_pool_3x3", "avg_pool_3x3"}
    mixture = setup.composition.mixture(state.architecture, now)
    assert torch.isfinite(mixture).all()


def test_darts_plus_counts_the_skips_of_the_normal_cell(tiny):
    setup, state = tiny(
        {"nodes": 1}, {"name": "darts_plus", "skips": 2, "stable": None, "start": 0}
    )
    for normal, stops in ((4, False), (3, True)):
        with torch.no_grad():
            alpha = torch.zeros(4, 8)
            alpha[[0, 1, 2, 3], [3, normal, 3, 3]] = 1.0
            state.architecture["alpha"].copy_(alpha)
        assert (setup.composition.stop(setup, state) is not None) is stops


def test_losses_are_finite_where_weights_are_trained(tiny):
    setup, state = tiny(SPACES["s1"], epochs=2)
    search(setup, state)
    assert all(math.isfinite(entry["train_loss"]) for entry in state.history)
