"""No report dies of a number that is missing, whatever else is there; it shows a dash and why."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bench.report.page import render
from bench.report.summary import Summary
from bench.report.table import as_csv, as_markdown, as_text
from bench.report.tex import as_tex
from bench.runs import store
from tests.report import builders


def everything(summary: Summary, page: bool = True) -> str:
    """Write all that can be written of a summary."""
    terminal = io.StringIO()
    with redirect_stdout(terminal):
        as_text(summary)
    json.loads(summary.as_json())
    texts = [as_markdown(summary), as_tex(summary), as_csv(summary.runs), as_csv(summary.variants)]
    return "\n".join([terminal.getvalue(), *texts, render(summary) if page else ""])


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every number that a run stored."""
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += numbers(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            found += numbers(inner, (*path, i))
    elif isinstance(value, int | float) and path[-1] not in ("epoch", "seed"):
        found.append(path)
    return found


def null(content: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = None


def absent(content: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        content = content[key]
    if isinstance(content, dict):
        del content[path[-1]]
    else:
        content[path[-1]] = None


def outcomes() -> dict[str, list[dict[str, Any] | None]]:
    return {
        "old": [builders.ok(5, 60), builders.ok(6, 54.3), builders.ok(2, 92), None],
        "new": [builders.ok(0, 93), builders.ok(1, 0.0), builders.failed(), builders.ok(1, 88)],
        "third": [builders.ok(3, 70), builders.ok(3, 71), builders.ok(3, 72), builders.ok(3, 73)],
    }


def strip(root: Path, which: Callable[[int, tuple[Any, ...]], Callable[..., None] | None]) -> None:
    """Take numbers out of the stored results: ``which`` says how, or None to leave it."""
    for i, folder in enumerate(sorted(root.glob("*-seed*"))):
        path = folder / store.RESULT
        if not path.is_file():
            continue
        result = json.loads(path.read_text())
        for place in reversed(numbers(result)):
            if (act := which(i, place)) is not None:
                act(result, place)
        path.unlink()
        store.write_json(path, store.seal(result))


@pytest.mark.parametrize("seed", range(6))
def test_any_subset_of_numbers_missing(seed: int, tmp_path: Path) -> None:
    metric = ("skip_count", "true_accuracy", "tau", "collapsed", "made_up", "cost_seconds")[seed]
    how, share = (null, absent)[seed % 2], (0.1, 0.5, 0.9)[seed % 3]
    rng = random.Random(seed)
    runs = outcomes()
    for results in runs.values():
        for result in filter(None, results):
            result["made_up"] = rng.random()
    root = builders.folder(tmp_path / "runs", runs, metric=metric)
    # Columns that lack everywhere, and single numbers that lack here and there.
    everywhere = {name for name in builders.ok(1) if rng.random() < share}

    def missing(i: int, place: tuple[Any, ...]) -> Callable[..., None] | None:
        lacks = place[0] in everywhere or (i and rng.random() < share / 2)
        return how if lacks else None

    strip(root, missing)
    everything(Summary.read(root))


def test_any_one_column_missing_everywhere(tmp_path: Path) -> None:
    for name in builders.ok(1):
        root = builders.folder(tmp_path / name, outcomes(), metric="true_accuracy", epochs=1)
        strip(root, lambda _, place, name=name: null if place[0] == name else None)  # type: ignore[misc]
        shown = everything(Summary.read(root), page=False)
        assert "None" not in shown, name


def test_a_contrast_on_what_no_run_could_measure(tmp_path: Path) -> None:
    """A column that is there, but null in all runs, is no misspelt name."""
    runs = {label: [builders.ok(1, mine=None)] * 2 for label in ("old", "new")}
    root = builders.folder(tmp_path / "runs", runs, metric="mine")
    summary = Summary.read(root)
    everything(summary, page=False)
    assert summary.verdict.kind in ("unmeasured", "too_few")
    root = builders.folder(tmp_path / "other", outcomes(), metric="skip_cuont")
    with pytest.raises(ValueError) as caught:
        Summary.read(root)
    said = str(caught.value)
    assert "did you mean 'skip_count'" in said
    listed = re.findall(r"\w+", said.partition("known:")[2])
    assert len(listed) == len(set(listed))


def test_an_accuracy_of_zero_is_known(tmp_path: Path) -> None:
    runs = {label: [builders.ok(1, 0.0), builders.ok(1, 0.0)] for label in ("old", "new")}
    assert Summary.read(builders.folder(tmp_path / "runs", runs)).unknown == ""


def test_why_tau_is_undefined_is_said(tmp_path: Path) -> None:
    lost = {"tau": None, "tau_low": None, "tau_high": None}
    why = {"reasons": {"tau": "241 of 500 truth are NaN"}}
    runs = {
        "old": [builders.ok(1, **lost, **why), builders.ok(2)],
        "new": [builders.ok(1, **lost, **why), builders.ok(2, **lost, **why)],
    }
    summary = Summary.read(builders.folder(tmp_path / "runs", runs))
    expected = "τ by accuracy is undefined in 3 of 4 finished runs: 241 of 500 truth are NaN"
    assert expected in summary.unknown
    assert everything(summary).count(expected) == 3  # terminal, Markdown, page


def test_a_cell_that_is_known_by_an_isomorphic_one_is_said(tmp_path: Path) -> None:
    first, second = builders.ok(1, 80.0), builders.ok(1, 81.0)
    first["truth"] = {**first["truth"], "isomorphic": "another"}
    runs = {"old": [first, second], "new": [builders.ok(1, 80.0), builders.ok(1, 81.0)]}
    summary = Summary.read(builders.folder(tmp_path / "runs", runs))
    said = "knows the derived cell of 1 of 4 finished runs by an isomorphic one"
    assert said in summary.unknown and said in render(summary)
