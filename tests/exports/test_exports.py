"""Exports hold what the results hold, can be made twice, and lead nowhere else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from bench import exports
from bench.cli import application
from bench.report.summary import Summary
from bench.runs import store
from tests.report.builders import failed, folder, ok


@pytest.fixture
def root(tmp_path: Path) -> Path:
    arms = {"old": [ok(5), failed("diverged")], "new": [ok(1, 91.5), None]}
    return folder(tmp_path / "x", arms, epochs=3)


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(
            f"{package} IS NOT INSTALLED: its export was not tested (bench-darts[trackers])"
        )


def invoke(*words: str) -> str:
    result = CliRunner().invoke(application(), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_table_is_there_as_parquet(root: Path, tmp_path: Path) -> None:
    invoke("export", str(root), "--parquet", str(tmp_path / "out"))
    tables = {p.stem: pd.read_parquet(p) for p in (tmp_path / "out").iterdir()}
    assert set(tables) == {"variants", "runs", "history", "alphas", "rankings"}
    summary = Summary.read(root)
    assert tables["runs"]["status"].tolist() == ["ok", "diverged", "ok", "missing"]
    assert tables["runs"]["true_accuracy"].dropna().tolist() == [90.0, 91.5]
    assert tables["runs"]["connected"].dropna().tolist() == [True, True]
    assert len(tables["history"]) == len(summary.history)
    assert len(tables["alphas"]) == 2 * 3 * 30 + 3 * 30  # the diverged run left its history
    assert tables["rankings"].groupby(["label", "seed"]).size().tolist() == [40, 40]


def test_columns_have_one_type(tmp_path: Path) -> None:
    from bench.exports.parquet import typed

    mixed = pd.DataFrame(
        {
            "number": pd.Series([1, None, 2.5], dtype=object),
            "yes": pd.Series([True, None, False], dtype=object),
            "text": pd.Series(["a", None, {"b": 1}], dtype=object),
            "nothing": pd.Series([None, None, None], dtype=object),
        }
    )
    path = tmp_path / "x.parquet"
    typed(mixed).to_parquet(path)
    back = pd.read_parquet(path)
    assert back["number"].sum() == 3.5 and back["yes"].sum() == 1
    assert back["text"].dropna().tolist() == ["a", "{'b': 1}"] and back["nothing"].isna().all()


def test_report_writes_parquet_beside_the_page(tmp_path: Path) -> None:
    arms = {"old": [ok(5), failed()], "new": [ok(1), None]}
    root = folder(tmp_path / "x", arms, epochs=0, rankings=False)
    invoke("report", str(root), "--parquet")
    assert len(pd.read_parquet(root / "runs.parquet")) == 4


def test_tensorboard_holds_every_reading_once(root: Path, tmp_path: Path) -> None:
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "tb"
    for _ in range(2):
        invoke("export", str(root), "--tensorboard", str(out))
    assert len(list(out.iterdir())) == 4
    run = EventAccumulator(str(out / f"new-seed0-{'0' * 16}"))
    run.Reload()
    steps = run.Scalars("skip_count")
    assert [(s.step, s.value) for s in steps] == [(1, 0.0), (2, 1.0), (3, 1.0)]
    assert run.Scalars("final/true_accuracy")[0].value == pytest.approx(91.5)


def test_mlflow_is_told_every_run_once(root: Path, tmp_path: Path) -> None:
    needs("mlflow")
    needs("sqlalchemy")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    assert "4 of 4 runs added" in invoke("export", str(root), "--mlflow", uri)
    assert "0 of 4 runs added" in invoke("export", str(root), "--mlflow", uri)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("x")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 4
    good = runs["new seed 0"]
    assert good.info.status == "FINISHED" and runs["old seed 1"].info.status == "FAILED"
    assert good.data.metrics["final.true_accuracy"] == 91.5
    assert good.data.params["space.name"] == "nb201"
    trail = client.get_metric_history(good.info.run_id, "skip_count")
    assert [(m.step, m.value) for m in trail] == [(1, 0.0), (2, 1.0), (3, 1.0)]
    # A run that has finished since then is added.
    late = root / f"new-seed1-{'0' * 16}"
    store.write_json(late / store.RESULT, store.seal({"digest": "0" * 16, **ok(2)}))
    assert "1 of 4 runs added" in invoke("export", str(root), "--mlflow", uri)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_tracker_is_one_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import sys

    module = {"tensorboard": "torch.utils.tensorboard", "mlflow": "mlflow.entities"}[name]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(exports.ExportError, match=r"pip install 'bench-darts\[trackers\]'"):
        exports.load(name)(Summary.read(root), str(tmp_path / "out"))


def test_where_to_must_be_said(root: Path) -> None:
    with pytest.raises(ValueError, match="say where to"):
        CliRunner().invoke(application(), ["export", str(root)], catch_exceptions=False)
    assert exports.names() == ["mlflow", "parquet", "tensorboard"]
