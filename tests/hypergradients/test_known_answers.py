"""Every registered estimator equals its closed form: quadratic, ridge, logistic, momentum."""

from __future__ import annotations

from typing import Any

import pytest

from bench.contracts import registry

from . import checks


@pytest.mark.parametrize("name", registry.names("hypergradients"))
def test_quadratic(name: str) -> None:
    """A new estimator without a known answer fails here: add one to `checks.CHECKS`."""
    checks.CHECKS[name](registry.load("hypergradients", name))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("neumann", {"K": 400, "a": 0.3}),
        ("conjugate_gradient", {"k": 5}),
        ("reverse", {"T": 300}),
        ("forward", {"T": 300}),
        ("idarts", {"T": 2, "K": 400, "a": 0.3}),
        ("stn", {"T": 200, "pairs": 5, "lr": 0.3, "scale": 1e-4, "rtol": 1e-8}),
    ],
)
def test_regression(name: str, fields: dict[str, Any]) -> None:
    """Each at its limit reaches the implicit function theorem's gradient.

    The response of `stn` is a central difference, hence its tolerance.
    """
    checks.implicit_regression(registry.load("hypergradients", name), **fields)
