"""What is wrong with a truth is said before a search, not after it; a partial table is enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.commands import plan as command
from bench.contracts import registry
from bench.ranking.panel import panel
from bench.ranking.population import Population
from bench.spaces.nb201 import cells
from bench.truth._doubts import doubts
from bench.truth._summary import checks
from bench.truth.table import Table
from tests.truth import builders

SPACE: Any = registry.parse("spaces", "nb201")


def table(path: Path, accuracies: dict[str, float]) -> Table:
    columns: dict[str, list[Any]] = {
        "arch": list(accuracies),
        "cifar10_test_200": list(accuracies.values()),
    }
    path.write_text(builders.csv_text(columns))
    return Table(path=path)


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of 500 unique cells."""
    every = builders.everything()
    chosen = [cells.encode(cell) for cell in cells.unique()[::12]][:500]
    return table(
        tmp_path_factory.mktemp("partial") / "t.csv", {name: every[name] for name in chosen}
    )


def test_a_whole_and_right_table_raises_no_doubt(synthetic: Path) -> None:
    assert doubts(Table(path=synthetic).load(), SPACE, Population()) == []


def test_a_partial_table_is_said_before_the_search(partial: Table) -> None:
    said = doubts(partial.load(), SPACE, Population(size=300))
    assert "knows 500 of the 15,625 cells" in said[0]
    assert "of the 300 cells that are to be ranked have no truth" in said[1]
    assert "ranking.population.kind=known" in said[1]
    assert len(doubts(partial.load(), SPACE, Population(kind="known"))) == 1


def test_the_population_of_known_cells(partial: Table) -> None:
    truth = partial.load()
    worth = truth.mean([SPACE.encode(cell) for cell in SPACE.unique()])
    whole = Population(kind="known", size=None).draw(SPACE, worth).cells
    assert {SPACE.encode(cell) for cell in whole} == set(truth.accuracy)
    some = Population(kind="known", size=40).draw(SPACE, worth).cells
    assert len(some) == 40 and not np.isnan(truth.mean([SPACE.encode(c) for c in some])).any()


@pytest.mark.parametrize("kind", ["stratified", "top"])
def test_too_few_known_cells_are_refused_before_the_search(kind: Any, tmp_path: Path) -> None:
    few = dict(list(builders.everything().items())[:1])
    truth = table(tmp_path / "t.csv", few).load()
    with pytest.raises(ValueError, match="population: "):
        doubts(truth, SPACE, Population(kind=kind))


@pytest.mark.parametrize("wrong", ["reversed", "constant"])
def test_what_verify_knows_is_asked(wrong: str, tmp_path: Path) -> None:
    every = builders.everything()
    values = {name: 100 - v if wrong == "reversed" else 54.3 for name, v in every.items()}
    truth = table(tmp_path / "t.csv", values).load()
    assert any(check.ok is False for check in checks(truth))
    said = doubts(truth, SPACE, None)
    assert any("fails a check" in line and "bench truth verify" in line for line in said)


def test_plan_warns(partial: Table, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["truth.name=table", f"truth.path={partial.path}"]
    command.plan_command(Path("ablations/skip_dropout.yaml"), "smoke", sets=sets, as_json=True)
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert any("500 of the 15,625" in line for line in warnings)
    sets = ["truth.name=table", "truth.path=nowhere.csv"]
    command.plan_command(Path("ablations/skip_dropout.yaml"), "smoke", sets=sets, as_json=True)
    assert any("no such file" in x for x in json.loads(capsys.readouterr().out)["warnings"])


def test_cells_without_a_number_have_no_rank(tmp_path: Path) -> None:
    """They are no cells that are worse."""
    from types import SimpleNamespace

    from bench.runs.run import judge_cell

    every = dict(list(builders.everything().items())[:40])
    columns = {"arch": list(every), "cifar10_test_200": [*range(30, 50), *[""] * 20]}
    (tmp_path / "t.csv").write_text(builders.csv_text(columns))
    truth = Table(path=tmp_path / "t.csv").load()
    setup: Any = SimpleNamespace(space=SPACE, truth=truth)
    found = judge_cell(setup, SPACE.decode(list(every)[10]))
    assert found["true_accuracy"] == 40 and found["percentile"] == 50


@pytest.mark.parametrize("scores, resamples", [([1.0] * 30, 50), (range(30), 0)])
def test_reasons_of_the_panel(scores: Any, resamples: int) -> None:
    found = panel(list(scores), list(range(30)), seed=0, resamples=resamples)
    if resamples:
        assert found.reasons["tau"] == "all scores are equal"
    else:
        assert found.tau.estimate == 1 and "tau" not in found.reasons
        assert found.reasons["tau_interval"] == "no resamples were asked for"


def test_plan_loads_no_truth_that_has_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would sit there for hours."""
    loaded: list[str] = []
    for name in registry.names("truth"):
        kind: Any = registry.load("truth", name)
        monkeypatch.setattr(kind, "of", lambda self, space, data: loaded.append(self.name))
    for name in registry.names("truth"):
        needs = [n for n, i in registry.load("truth", name).model_fields.items() if i.is_required()]
        if not needs:
            sets = [f"truth.name={name}"]
            command.plan_command(Path("ablations/skip_dropout.yaml"), "smoke", sets=sets)
    assert loaded == []


def test_a_table_whose_weights_are_empty_stands_for_itself(tmp_path):
    """An imported file has the column of a sample's weights, without a number in it."""
    import pyarrow as pa

    from bench.tables.long import weights

    assert weights(pa.table({"arch": ["a", "b"], "weight": [None, None]})) == {}
    assert weights(pa.table({"arch": ["a", "b"], "weight": [2.0, None]})) == {"a": 2.0}
