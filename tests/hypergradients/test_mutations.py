"""Typical mistakes, made on purpose in the source: each must turn a known answer red.

A mutant is an estimator's module compiled from its source with one text replaced, in the module
itself or in a helper that it imports. Nothing is written to disk and no real module is changed.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

import pytest

from bench.contracts import registry
from bench.contracts.hypergradient import Hypergradient

from . import checks

PACKAGE = "bench.hypergradients"
HELPERS = ["_autodiff", "_inner", "_curvature", "_neumann", "_response"]  # in order of import


def mutant(
    patch: pytest.MonkeyPatch, name: str, module: str = "", old: str = "", new: str = ""
) -> type[Any]:
    """Compile estimator ``name`` afresh, with ``old`` replaced by ``new`` in ``module``."""
    found = False
    for each in [*HELPERS, name]:
        path = f"{PACKAGE}.{each}"
        source = inspect.getsource(importlib.import_module(path))
        if each == module:
            assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {each}"
            source, found = source.replace(old, new), True
        fresh = ModuleType(path)
        patch.setitem(sys.modules, path, fresh)
        # `from package import helper` looks at the package's attribute first.
        patch.setattr(sys.modules[PACKAGE], each, fresh, raising=False)
        exec(compile(source, f"<mutant of {each}>", "exec"), fresh.__dict__)
    assert found or not module
    classes = [
        value
        for value in vars(fresh).values()
        if isinstance(value, type) and issubclass(value, Hypergradient)
    ]
    return next(value for value in classes if not inspect.isabstract(value))


NO_LAMBDA = "{n: a.detach() for n, a in problem.architecture.items()}"
INNER_CALL = "loss = problem.train_loss(weights, problem.architecture, batch)"
INNER_CUT = f"loss = problem.train_loss(weights, {NO_LAMBDA}, batch)"
PERTURB = "add(problem.weights, v, eps)"
IN_PLACE = "{n: w.data.add_(v[n], alpha=eps) for n, w in problem.weights.items()}"
NEUMANN_SIGN = ("multiply(curvature.mixed(q), -1.0)", "multiply(curvature.mixed(q), 1.0)")

MUTATIONS: dict[str, tuple[str, str, str, str]] = {
    # η dropped
    "darts: no η": (
        "darts_second_order",
        "darts_second_order",
        "-problem.inner.lr / (",
        "-1.0 / (",
    ),
    "one step: no η": ("one_step_exact", "one_step_exact", "-problem.inner.lr)", "-1.0)"),
    "one step: no η in w′": ("one_step_exact", "_inner", "lr=problem.inner.lr,", "lr=1.0,"),
    "reverse: no η": ("reverse", "_inner", "- inner.lr * step", "- step"),
    "forward: no η": ("forward", "_inner", "- inner.lr * step", "- step"),
    "neumann: no leading a": ("neumann", "_neumann", "name: a * value", "name: value"),
    "neumann: no a in the series": ("neumann", "_neumann", "product, -a)", "product, -1.0)"),
    "idarts: no leading a": ("idarts", "_neumann", "name: a * value", "name: value"),
    "stn: no lr": ("stn", "stn", "(self.lr or problem.inner.lr) /", "1.0 /"),
    # a sign flipped
    "darts: sign": (
        "darts_second_order",
        "darts_second_order",
        "-problem.inner.lr /",
        "problem.inner.lr /",
    ),
    "one step: sign": (
        "one_step_exact",
        "one_step_exact",
        "-problem.inner.lr)",
        "problem.inner.lr)",
    ),
    "reverse: sign": ("reverse", "_inner", "- inner.lr * step", "+ inner.lr * step"),
    "forward: sign": ("forward", "_inner", "- inner.lr * step", "+ inner.lr * step"),
    "neumann: sign": ("neumann", "neumann", *NEUMANN_SIGN),
    "idarts: sign": ("idarts", "idarts", *NEUMANN_SIGN),
    "neumann: sign in the series": ("neumann", "_neumann", "product, -a)", "product, a)"),
    "cg: sign": ("conjugate_gradient", "conjugate_gradient", *NEUMANN_SIGN),
    "stn: sign": ("stn", "_response", "rows - step *", "rows + step *"),
    # K ± 1, T ± 1, k ± 1
    "neumann: K + 1": ("neumann", "_neumann", "range(K)", "range(K + 1)"),
    "neumann: K - 1": ("neumann", "_neumann", "range(K)", "range(K - 1)"),
    "idarts: K + 1": ("idarts", "idarts", "v, self.K,", "v, self.K + 1,"),
    "idarts: K - 1": ("idarts", "idarts", "v, self.K,", "v, self.K - 1,"),
    "idarts: T - 1": ("idarts", "idarts", "start(problem), train)", "start(problem), train[:-1])"),
    "idarts: first batch": ("idarts", "idarts", "train[-1]", "train[0]"),
    "reverse: K + 1": ("reverse", "reverse", "first = self.T - (", "first = -1 + self.T - ("),
    "reverse: K - 1": ("reverse", "reverse", "first = self.T - (", "first = 1 + self.T - ("),
    "cg: k - 1": ("conjugate_gradient", "conjugate_gradient", "< self.k", "< self.k - 1"),
    "cg: k + 1": ("conjugate_gradient", "conjugate_gradient", "< self.k", "<= self.k"),
    "stn: one pair less": ("stn", "stn", "range(self.pairs)", "range(self.pairs - 1)"),
    # λ detached
    "reverse: λ detached": ("reverse", "_inner", INNER_CALL, INNER_CUT),
    "one step: λ detached": ("one_step_exact", "_inner", INNER_CALL, INNER_CUT),
    "neumann: λ detached": ("neumann", "_inner", INNER_CALL, INNER_CUT),
    "cg: λ detached": ("conjugate_gradient", "_inner", INNER_CALL, INNER_CUT),
    "idarts: λ detached": ("idarts", "_inner", INNER_CALL, INNER_CUT),
    "forward: λ detached": ("forward", "forward", INNER_CALL, INNER_CUT),
    "stn: λ not perturbed": (
        "stn",
        "stn",
        "add(problem.architecture, shift)",
        "problem.architecture",
    ),
    "direct part lost": (
        "neumann",
        "_autodiff",
        "weights, problem.architecture, valid)",
        f"weights, {NO_LAMBDA}, valid)",
    ),
    # the finite difference
    "darts: / 2 * eps": ("darts_second_order", "darts_second_order", "/ (2 * eps)", "/ 2 * eps"),
    "darts: one-sided": ("darts_second_order", "darts_second_order", "/ (2 * eps)", "/ eps"),
    "darts: unrestored": ("darts_second_order", "darts_second_order", PERTURB, IN_PLACE),
    "darts: around w′": (
        "darts_second_order",
        "darts_second_order",
        "minus = self._slope(problem, add(problem.weights, v, -eps)",
        "minus = self._slope(problem, add(ahead, v, -eps)",
    ),
    # the inner map
    "darts: no momentum in w′": (
        "darts_second_order",
        "_inner",
        "momentum=problem.inner.momentum,",
        "",
    ),
    "darts: no decay in w′": (
        "darts_second_order",
        "_inner",
        "weight_decay=problem.inner.weight_decay,",
        "",
    ),
    "reverse: no decay": (
        "reverse",
        "_inner",
        "gradient + inner.weight_decay * weights[name]",
        "gradient",
    ),
    "reverse: no momentum": (
        "reverse",
        "_inner",
        "inner.momentum * momentum[name] + decayed",
        "decayed",
    ),
    "reverse: adjoint of m lost": (
        "reverse",
        "reverse",
        "return (back[0], back[1])",
        "return (back[0], zeros(back[1]))",
    ),
    "reverse: no Nesterov": ("reverse", "_inner", "step = decayed + inner.momentum * step", "pass"),
    "reverse: clipping is a constant": ("reverse", "_inner", "max=1.0)", "max=1.0).detach()"),
    "reverse: clipping without 1e-6": (
        "reverse",
        "_inner",
        "(torch.linalg.vector_norm(norms) + 1e-6)",
        "torch.linalg.vector_norm(norms)",
    ),
    "forward: clipping is a constant": ("forward", "_inner", "+ slope * g for", "+ 0.0 * g for"),
    "forward: clipping ignored": (
        "forward",
        "_inner",
        "if inner.clip < size",
        "if inner.clip < -size",
    ),
    "forward: m's tangent lost": (
        "forward",
        "forward",
        "update_tangent(problem.inner, z, zm,",
        "update_tangent(problem.inner, z, {n: 0 * t for n, t in zm.items()},",
    ),
    "no decay in H": ("neumann", "_curvature", "value + decay * vector[name]", "value"),
    "cg: no decay in H": (
        "conjugate_gradient",
        "_curvature",
        "value + decay * vector[name]",
        "value",
    ),
    "stn: no decay": ("stn", "stn", "+ decay * moved[n]", ""),
    "stn: scale not squared": ("stn", "stn", "self.scale**2", "self.scale"),
    "first order: of the training loss": (
        "first_order",
        "first_order",
        "problem.valid_loss(weights, problem.architecture, valid)",
        "problem.weights['u'].sum() + sum(a.sum() for a in problem.architecture.values())",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", registry.names("hypergradients"))
def test_unmutated_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machinery itself changes nothing."""
    checks.CHECKS[name](mutant(monkeypatch, name))


@pytest.mark.parametrize("label", MUTATIONS)
def test_mutant_is_caught(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the estimator's own known-answer check; an error counts as caught only if asserted."""
    name, module, old, new = MUTATIONS[label]
    cls = mutant(monkeypatch, name, module, old, new)
    with pytest.raises(AssertionError):
        checks.CHECKS[name](cls)


def test_every_estimator_is_mutated() -> None:
    assert {name for name, *_ in MUTATIONS.values()} == set(registry.names("hypergradients"))
