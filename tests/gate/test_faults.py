"""Each injected fault turns the gate red through its command; the unchanged tree stays green."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bench.cli import REGRESSION, application
from bench.gate import baseline
from bench.gate.invariants import fingerprint, judged
from bench.gate.traces import TOLERANCES, record
from tests.gate.builders import stand_in


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record this very tree."""
    folder = tmp_path_factory.mktemp("baselines")
    stand_in(folder, traces=record(), truth=fingerprint(judged()[1]))
    return folder


def check(folder: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        application(), ["check", "--quick", "--baselines", str(folder), *words]
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def failed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("✗"))


def test_the_unchanged_tree_is_green(recorded: Path, tmp_path: Path) -> None:
    code, text = check(recorded, "--markdown", str(tmp_path / "summary.md"))
    assert code == 0 and not failed(text) and "Search quality holds" in text
    assert "✅" in (tmp_path / "summary.md").read_text()


def test_alpha_updates_off(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.search.loop.architecture_step", lambda setup, state: None)
    code, text = check(recorded)
    assert code == REGRESSION and "first_order: alpha" in failed(text)


def test_implicit_term_detached(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.hypergradients.one_step_exact import OneStepExact

    whole = OneStepExact.estimate

    def detached(self: Any, *arguments: Any) -> Any:
        return replace(whole(self, *arguments), implicit={})

    monkeypatch.setattr(OneStepExact, "estimate", detached)
    code, text = check(recorded)
    assert code == REGRESSION and "one_step_exact: alpha" in failed(text)
    assert "first_order" not in failed(text), "the finding must name the estimator"


def test_halves_swapped(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.search.setup import Setup

    straight, other = Setup.batch, {"train": "valid", "valid": "train"}
    monkeypatch.setattr(Setup, "batch", lambda self, half, step: straight(self, other[half], step))
    code, text = check(recorded)
    assert code == REGRESSION and "first_order: alpha" in failed(text)


def test_dropout_on_the_wrong_operation(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.variants.skip_dropout import SkipDropout

    monkeypatch.setattr(SkipDropout, "touches", ("avg_pool_3x3",))
    code, text = check(recorded)
    assert code == REGRESSION and "skip_dropout: alpha" in failed(text)
    assert "first_order" not in failed(text)


def test_running_statistics_kept_from_other_architectures(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.spaces.nb201.supernet import NB201Supernet

    monkeypatch.setattr(
        NB201Supernet, "statistics_from", lambda self, rows: contextlib.nullcontext()
    )
    code, text = check(recorded)
    assert code == REGRESSION and "ranking: supernet untouched" in failed(text)


def test_batch_statistics_blended_with_the_last_architectures(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.spaces.nb201 import skeleton

    straight, last = skeleton.normalise, {}

    def blended(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        before, last[x.shape] = last.get(x.shape), x.mean()
        return straight(x, *rest) - (0.0 if before is None else 0.01 * before)

    monkeypatch.setattr(skeleton, "normalise", blended)
    code, text = check(recorded)
    assert code == REGRESSION and "ranking: no leak" in failed(text)


@pytest.mark.parametrize("said", [12, 200], ids=["said", "mislabelled"])
def test_twelve_epoch_truth(recorded: Path, monkeypatch: pytest.MonkeyPatch, said: int) -> None:
    from bench.truth.analog import Analog

    right = Analog.load

    def early(self: Any) -> Any:
        truth = right(self)
        # As after 12 epochs: lower, and in another order.
        noise = np.random.default_rng(0).normal(0, 2, len(truth.accuracy))
        rows = zip(truth.accuracy.items(), noise, strict=True)
        return replace(truth, budget=said, accuracy={k: v - 8 + n for (k, v), n in rows})

    monkeypatch.setattr(Analog, "load", early)
    code, text = check(recorded)
    wanted = "truth: budget" if said == 12 else "truth: the recorded table"
    assert code == REGRESSION and wanted in failed(text)


def test_twelve_epochs_as_the_default_column(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.tables.columns import Measurement
    from bench.truth.table import Table

    monkeypatch.setattr(Table, "_measurement", lambda self: Measurement("cifar10", "test", 12))
    monkeypatch.setattr(Table, "column", None, raising=False)
    code, text = check(recorded)
    assert code == REGRESSION and failed(text).startswith("✗ truth: default column")


def test_a_search_that_diverges_is_red(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.search.loop import DivergedError

    def diverge(setup: Any, state: Any) -> None:
        raise DivergedError("training loss is nan")

    monkeypatch.setattr("bench.search.loop.weight_step", diverge)
    code, text = check(recorded)
    assert code == REGRESSION and "first_order: alpha" in failed(text)


def test_traces_hold_to_a_fortieth_of_the_tolerance_in_double(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What rounding alone does, on whatever machine: float32 is compared with float64."""
    import bench.batches as batches
    from bench.gate import searches, traces

    single, start = batches.normalise, searches.initial_state

    def initial(setup: Any) -> Any:
        state = start(setup)
        state.supernet.double()
        for value in state.architecture.values():
            value.data = value.data.double()
        return state

    monkeypatch.setattr(batches, "normalise", lambda images, px: single(images, px).double())
    monkeypatch.setattr(searches, "initial_state", initial)
    found = traces.compare(baseline.read(recorded).traces, record())
    assert len(found) > 15
    for finding in found:
        kind = finding.name.split(": ")[1].split()[0]
        assert finding.tolerance == TOLERANCES[kind]
        assert finding.distance < finding.tolerance / 40, finding
