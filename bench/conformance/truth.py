"""What every truth promises."""

from __future__ import annotations

import re

import numpy as np

from bench.conformance import Check, expect
from bench.contracts import registry
from bench.contracts.truth import Truth, TruthSource


def _loaded(source: TruthSource) -> Truth:
    space = registry.parse("spaces", source.space or "nb201")
    return source.of(space, registry.parse("data", {"name": "digits", "size": 80}))


def percentages(source: TruthSource) -> None:
    """Accuracies are percentages of cells, one row of seeds each."""
    truth = _loaded(source)
    if not source.ranks:
        return
    expect(bool(truth.accuracy), "it knows no cell")
    lengths = {len(np.atleast_1d(row)) for row in truth.accuracy.values()}
    expect(len(lengths) == 1, f"cells have {sorted(lengths)} seeds; say NaN where one is missing")
    values = np.stack(list(truth.accuracy.values()))
    expect(values.dtype == np.float64 and values.ndim == 2, "a row must be float64 [seeds]")
    expect(not np.isnan(values).all(axis=1).any(), "a cell has no accuracy at all")
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    expect(low >= 0 and 1 < high <= 100, f"accuracies from {low} to {high} are no percentages")
    for name in truth.accuracy:
        expect(truth.space.spell(name) == name, f"{name!r} is not how the space writes that cell")


def told(source: TruthSource) -> None:
    """It says what was measured and where from."""
    truth = _loaded(source)
    expect(bool(truth.dataset) and truth.budget > 0, "dataset or budget is missing")
    expect(truth.split in ("train", "valid", "test"), f"split {truth.split!r}")
    expect(bool(truth.provenance) and "\n" not in truth.provenance, "provenance: one line")
    expect(bool(re.fullmatch(r"[0-9a-f]{64}", truth.sha256)), "sha256 is no hash")


def stable(source: TruthSource) -> None:
    """Reading twice gives the same, and the hash is that of the contents."""
    one, two = _loaded(source), _loaded(source)
    expect(one.sha256 == two.sha256 and list(one.accuracy) == list(two.accuracy), "others twice")
    for name, values in one.accuracy.items():
        expect(np.array_equal(values, two.accuracy[name], equal_nan=True), f"{name} differs")


def ranks(source: TruthSource) -> None:
    """What ranks knows cells before they are found."""
    truth = _loaded(source)
    expect(source.ranks == bool(truth.reference), "ranks and reference contradict each other")
    expect(bool(np.isnan(truth.mean(["no cell of any space"])).all()), "it knows what is no cell")


CHECKS: dict[str, Check] = {
    "accuracies are percentages of cells": percentages,
    "says what was measured, and where from": told,
    "reading it twice gives the same": stable,
    "ranks only what it knows": ranks,
}
