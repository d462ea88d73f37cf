"""NAS-Bench-301 behind its package: refusals without it, and with one that predicts what we say."""

import numpy as np
import pytest

from bench.contracts import registry
from bench.contracts.truth import TruthError
from bench.search.settings import Settings
from bench.spaces.darts.tables import PUBLISHED
from tests.truth.builders import install_surrogate, surrogate_folder


@pytest.fixture
def folder(tmp_path):
    return surrogate_folder(tmp_path)


@pytest.fixture
def package(monkeypatch):
    return install_surrogate(monkeypatch)


def source(path, **fields):
    return registry.parse("truth", {"name": "nasbench301", "path": str(path), **fields})


def test_without_the_package_it_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TruthError, match=r"needs the package nasbench301.*pip install"):
        source(folder).load()


def test_without_models_it_says_so(tmp_path, package):
    with pytest.raises(TruthError, match="no models of NAS-Bench-301"):
        source(tmp_path).load()


def test_what_the_package_raises_is_one_line(folder, package):
    def broken(path):
        raise AttributeError("module 'sklearn'\nhas no attribute")

    package[0].load_ensemble = broken
    with pytest.raises(
        TruthError, match=r"could not load it .AttributeError: module 'sklearn' has"
    ):
        source(folder).load()


def test_members_predictions_are_the_uncertainty(folder, package):
    truth = source(folder, reference=20).load()
    cell = registry.parse("spaces", "darts").encode(
        registry.parse("spaces", "darts").decode(PUBLISHED["DARTS_V2"])
    )
    assert truth.accuracy[cell].tolist() == [92.0, 93.0, 94.0]  # two skips in its normal cell
    assert truth.mean([cell, "nonsense"])[0] == 93.0
    assert np.isnan(truth.mean(["nonsense"])).all()
    assert len(truth.accuracy) == 20 and 91 <= truth.best <= 99
    before = len(package[1])
    truth.mean([cell] * 5)
    assert len(package[1]) == before  # asked once
    assert (truth.dataset, truth.split, truth.budget) == ("cifar10", "valid", 100)
    assert "not measurements" in truth.provenance and len(truth.sha256) == 64


def test_a_search_is_ranked_by_it(folder, package):
    from bench.ranking.measure import measure
    from bench.runs.run import judge_cell
    from bench.search.setup import build, initial_state

    base = {
        "space": {"name": "darts", "channels": 2, "layers": 3},
        "data": {"name": "digits", "size": 64},
        "device": "cpu",
        "selection": "argmax",
        "truth": {"name": "nasbench301", "path": str(folder), "reference": 30},
        "ranking": {"population": {"size": 6}, "images": 16, "batch": 16, "resamples": 10},
    }
    setup = build(Settings.model_validate(base), [], seed=0)
    state = initial_state(setup)
    found = measure(setup, state, setup.settings.ranking)
    assert len(found.table) == 6 and found.table["truth"].between(91, 99).all()
    outcome = judge_cell(setup, setup.settings.selection.select(setup, state))
    assert 91 <= outcome["true_accuracy"] <= 99 and outcome["truth"]["cells"] == 30
    for changes, says in (
        ({"ranking": {"population": {"kind": "top"}}}, "top needs every cell of darts"),
        ({"space": {"name": "nb201"}}, "nasbench301 knows cells of darts, not of nb201"),
    ):
        with pytest.raises(ValueError, match=says):
            Settings.model_validate({**base, **changes})
