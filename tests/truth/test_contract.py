"""The promise of every truth source: complete or says what is missing; provenance and hash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.truth import Truth, TruthSource
from bench.truth._summary import summary
from tests.truth.builders import install_surrogate, surrogate_folder


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
    }


@pytest.fixture(scope="module", params=registry.names("truth"))
def source(request: pytest.FixtureRequest, parameters: dict[str, dict[str, Any]]) -> TruthSource:
    member: TruthSource = registry.parse(
        "truth", {"name": request.param, **parameters.get(request.param, {})}
    )
    return member


@pytest.fixture(scope="module")
def truth(source: TruthSource) -> Truth:
    return source.load()


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
    assert truth.best == pytest.approx(np.nanmax(truth.mean(list(truth.accuracy))))
    said = summary(truth)
    assert said["cells"] == len(truth.accuracy) and said["best"] == truth.best


def test_reading_twice_gives_the_same(source: TruthSource, truth: Truth) -> None:
    again = source.load()
    assert again.sha256 == truth.sha256 and list(again.accuracy) == list(truth.accuracy)
    for name, values in truth.accuracy.items():
        np.testing.assert_array_equal(again.accuracy[name], values)
