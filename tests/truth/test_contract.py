"""The promise of every truth source: complete or says what is missing; provenance and hash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contracts import registry
from bench.contracts.truth import Truth, TruthSource
from bench.truth._summary import summary
from tests.truth.builders import install_surrogate, surrogate_folder

TRAINING = {"test": "half", "batch": 20, "lr": 0.02}
V2 = registry.parse("spaces", "darts").decode("DARTS_V2")
DATA = registry.parse("data", {"name": "digits", "size": 80})


@pytest.fixture(scope="module", autouse=True)
def _surrogate() -> Iterator[None]:
    """A stand-in for the package of NAS-Bench-301, whose models nobody downloads for a test."""
    with pytest.MonkeyPatch.context() as patch:
        install_surrogate(patch)
        yield


@pytest.fixture(scope="module")
def parameters(
    synthetic: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """For members that cannot be made without."""
    models = surrogate_folder(tmp_path_factory.mktemp("models"))
    return {
        "table": {"path": str(synthetic)},
        "nasbench301": {"path": str(models), "reference": 50},
        "tabulated": {
            "epochs": 1,
            "sample": 20,
            "training": TRAINING,
            "network": {"channels": 2, "cells": 1},
        },
        "standalone": {"epochs": 1, "training": TRAINING, "network": {"channels": 2, "cells": 1}},
    }


@pytest.fixture(scope="module", params=registry.names("truth"))
def source(request: pytest.FixtureRequest, parameters: dict[str, dict[str, Any]]) -> TruthSource:
    member: TruthSource = registry.parse(
        "truth", {"name": request.param, **parameters.get(request.param, {})}
    )
    return member


def loaded(source: TruthSource) -> Truth:
    """As an ablation has it, asked about a cell that a search has found."""
    space = registry.parse("spaces", source.space or "nb201")
    truth = source.of(space, DATA)
    truth.accuracy_of(space.encode((3, 1, 3, 1, 1, 3) if space.name == "nb201" else V2))
    return truth


@pytest.fixture(scope="module")
def truth(source: TruthSource) -> Truth:
    return loaded(source)


def test_survives_the_way_through_an_ablation_file(source: TruthSource) -> None:
    assert registry.parse("truth", registry.dump(source)) == source
    assert source.summary()


def test_accuracies_are_percentages_of_cells(truth: Truth) -> None:
    assert truth.accuracy
    values = np.stack(list(truth.accuracy.values()))  # one length: a place for every seed
    assert values.dtype == np.float64 and values.ndim == 2
    assert not np.isnan(values).all(axis=1).any()
    assert np.nanmin(values) >= 0 and np.nanmax(values) <= 100 and np.nanmax(values) > 1
    space = truth.space
    for name in truth.accuracy:
        assert space.encode(space.decode(name)) == name


def test_says_what_was_measured_and_where_from(truth: Truth) -> None:
    assert truth.dataset and truth.budget > 0 and truth.split in ("train", "valid", "test")
    assert truth.provenance and "\n" not in truth.provenance
    assert re.fullmatch(r"[0-9a-f]{64}", truth.sha256)


def test_missing_cells_are_missing(truth: Truth) -> None:
    assert np.isnan(truth.mean(["no cell of any space"])).all()
    if not truth.reference:  # nothing was known before it was asked about
        assert np.isnan(truth.best)
        return
    assert set(truth.reference) <= set(truth.accuracy)
    means, weights = truth.mean(truth.reference), truth.weights(truth.reference)
    assert truth.best == pytest.approx(np.nanmax(means))
    assert (weights >= 0).all() and weights.sum() > 0
    assert truth.percentile(-1) == 0 and truth.percentile(101) == 100
    assert np.isnan(truth.percentile(float("nan"))) and means.min() < truth.random < means.max()
    said = summary(truth)
    assert said["cells"] == len(truth.reference) and said["best"] == truth.best


def test_what_ranks_knows_cells_before_they_are_found(source: TruthSource, truth: Truth) -> None:
    assert source.ranks == bool(truth.reference)


def test_reading_twice_gives_the_same(source: TruthSource, truth: Truth) -> None:
    again = loaded(source)
    assert again.sha256 == truth.sha256 and list(again.accuracy) == list(truth.accuracy)
    for name, values in truth.accuracy.items():
        np.testing.assert_array_equal(again.accuracy[name], values)
