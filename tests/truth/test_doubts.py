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
    classes = {SPACE.canonical(SPACE.decode(name)) for name in partial.load().accuracy}
    twins = sum(SPACE.canonical(cell) in classes for cell in SPACE.architectures()) - 500
    assert twins > 500
    assert f"knows 500 of the 15,625 cells of nb201 and {twins} by isomorphic ones" in said[0]
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


def twin_of(name: str) -> str:
    """Another cell of the same class."""
    canonical = SPACE.canonical(SPACE.decode(name))
    same = (cell for cell in SPACE.architectures() if SPACE.canonical(cell) == canonical)
    return next(other for cell in same if (other := SPACE.encode(cell)) != name)


ONCE = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"


def test_a_cell_that_is_lacking_has_the_accuracy_of_an_isomorphic_one(tmp_path: Path) -> None:
    """Or what a search finds would be unknown to a table of all unique cells."""
    from types import SimpleNamespace

    from bench.runs.run import judge_cell

    twin = twin_of(ONCE)
    stranger = "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    truth = table(tmp_path / "t.csv", {ONCE: 91.0, stranger: 40.0}).load()
    setup: Any = SimpleNamespace(space=SPACE, truth=truth)
    found = judge_cell(setup, SPACE.decode(twin))
    assert (found["true_accuracy"], found["regret"], found["percentile"]) == (91.0, 0.0, 50.0)
    assert found["truth"]["isomorphic"] == ONCE
    assert "isomorphic" not in judge_cell(setup, SPACE.decode(ONCE))["truth"]
    six = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    assert np.isnan(judge_cell(setup, SPACE.decode(six))["true_accuracy"])


@pytest.mark.parametrize("empty", ["", "nan"])
def test_a_cell_without_a_number_has_that_of_an_isomorphic_one(empty: str, tmp_path: Path) -> None:
    """And its own, where it has one, whatever the other's."""
    twin = twin_of(ONCE)
    path = tmp_path / "t.csv"
    path.write_text(f"arch,cifar10_test_200\n{ONCE},{empty}\n{twin},88\n")
    truth = Table(path=path).load()
    assert truth.mean([ONCE, twin]).tolist() == [88, 88]
    assert np.isnan(truth.measured([ONCE])[0])
    path.write_text(f"arch,cifar10_test_200\n{ONCE},87\n{twin},88\n")
    assert Table(path=path).load().mean([ONCE, twin]).tolist() == [87, 88]


def test_whichever_cell_of_a_class_is_tabulated_it_can_be_ranked(tmp_path: Path) -> None:
    """The population's own representative need not be the table's."""
    every = builders.everything()
    last = {SPACE.canonical(SPACE.decode(name)): name for name in every}
    names = list(last.values())[::16]
    truth = table(tmp_path / "t.csv", {name: every[name] for name in names}).load()
    sample = Population(kind="known", size=None).drawn(SPACE, truth)
    found = [SPACE.encode(cell) for cell in sample.cells]
    assert len(found) == len(names) and not set(found) <= set(names)
    assert sorted(truth.mean(found)) == sorted(every[name] for name in names)
