"""Contracts and central functions are documented in full: every parameter, what is returned, what is raised.

Elsewhere a docstring may be one line. `numpydoc` reads the sections; what it cannot know, that an array
needs its shape and that an error which is raised needs a line, is asked here.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from numpydoc.validate import validate

CONTRACTS = (
    "blackbox.BlackBox",
    "cells.Cells",
    "data.DataSource",
    "data.Halves",
    "data.Images",
    "declared.Declared",
    "executor.Executor",
    "hooks.CellHooks",
    "hypergradient.Hypergradient",
    "hypergradient.Trained",
    "instrument.Instrument",
    "moment.Moment",
    "search.CompositionView",
    "search.SearchView",
    "search.StateView",
    "selection.Selection",
    "settings.RunSettings",
    "space.Space",
    "supernet.Standalone",
    "supernet.Supernet",
    "truth.Truth",
    "truth.TruthSource",
    "variant.Variant",
)
CENTRAL = (
    "ablation.criteria.judge",
    "ablation.file.read_ablation",
    "batches.training_batch",
    "contracts.registry.dump",
    "contracts.registry.load",
    "contracts.registry.parse",
    "gate.check.check",
    "ranking.correlation.noise_ceiling",
    "ranking.correlation.tau_b",
    "ranking.evaluate.evaluate",
    "ranking.measure.measure",
    "report.contrast.decide",
    "runs.campaign.Campaign.run",
    "runs.checkpoint.load",
    "runs.cost.multiply_adds",
    "runs.manifest.read_manifest",
    "runs.reopen.reopen",
    "runs.run.execute",
    "runs.run.judge_cell",
    "runs.spec.plan",
    "runs.store.read_result",
    "runs.store.read_spec",
    "runs.worker.run_folder",
    "search.composition.Composition.mixture",
    "search.hypergradient.estimate",
    "search.loop.search",
    "search.setup.build",
    "search.setup.initial_state",
    "statistics.paired_sign_flip",
    "statistics.stratified_bootstrap",
    "statistics.wilson",
    "streams.generator",
    "training.train.evaluate",
)
ASKED = {
    "GL08": "no docstring",
    "PR01": "parameters that are not documented",
    "PR02": "documented parameters that there are not",
    "PR03": "parameters in another order",
    "PR07": "a parameter without a description",
    "RT03": "a returned value without a description",
    "YD01": "no Yields section",
}
SHAPED = re.compile(r"Tensor|NDArray|Floats")
SHAPE = re.compile(r"\[[^\]]+\]|scalar|shape|by name|by the names|→|generator|point", re.IGNORECASE)


def methods() -> Iterator[str]:
    """Yield the public methods of the contracts, but for properties and what is inherited."""
    for name in CONTRACTS:
        module, kind = name.split(".")
        for method, value in vars(
            getattr(importlib.import_module(f"bench.contracts.{module}"), kind)
        ).items():
            inner = getattr(value, "__func__", value)
            if inspect.isfunction(inner) and not method.startswith(("_", "model_post")):
                yield f"bench.contracts.{name}.{method}"


NAMES = sorted({*methods(), *(f"bench.{name}" for name in CENTRAL)})


def found(name: str) -> Any:
    """Return the function of a dotted name."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part)
        return value
    raise AssertionError(name)


def raised(function: Any) -> set[str]:
    """Return the errors that a function itself raises; not those of functions inside it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    inside = {
        id(node)
        for inner in ast.walk(tree)
        if inner is not tree and isinstance(inner, ast.FunctionDef | ast.Lambda)
        for node in ast.walk(inner)
    }
    errors = (
        node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None and id(node) not in inside
    )
    named = {ast.unparse(error).split(".")[-1] for error in errors}
    return {name for name in named if name[0].isupper()}  # what a function makes is not known here


def lacking(function: Any, name: str) -> list[str]:
    """Return what a docstring lacks."""
    codes = {code: text for code, text in validate(name)["errors"] if code in ASKED}
    doc = inspect.getdoc(function) or ""
    returned = str(inspect.get_annotations(function).get("return", "None"))
    section = re.search(r"(?:Returns|Yields)\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", doc, re.DOTALL)
    missing = [f"{code}: {text}" for code, text in codes.items()]
    if returned not in ("None", "Never") and section is None:
        missing.append("no Returns section")
    if SHAPED.search(returned) and section is not None and not SHAPE.search(section[1]):
        missing.append(f"no shape of what is returned: {section[1]!r}")
    told = doc.partition("Raises\n------\n")[2]
    missing += [f"raises {error}" for error in raised(function) if error not in told]
    return missing


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_a_newcomer_needs_is_said(name: str) -> None:
    assert lacking(found(name), name) == []


def test_there_are_about_thirty_central_functions_and_all_contracts() -> None:
    from bench.contracts import registry

    assert len(CENTRAL) in range(30, 36)
    assert {".".join(place) for place in registry.SEAMS.values()} <= set(CONTRACTS)


def bare(x: Any, y: int) -> Tensor:  # type: ignore[name-defined]  # noqa: F821
    """Do something.

    Parameters
    ----------
    x
        What.

    Returns
    -------
    Tensor
        The outcome.
    """
    raise ValueError


def test_the_check_can_fail() -> None:
    wrong = " ".join(lacking(bare, f"{__name__}.bare"))
    assert "PR01" in wrong and "no shape" in wrong and "raises ValueError" in wrong
