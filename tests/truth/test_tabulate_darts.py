"""Tables of the DARTS space: tabulated, read in any writing, used in an ablation, refused elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.contracts.truth import TruthError
from bench.runs.run import judge_cell
from bench.search.settings import Settings
from bench.search.setup import build
from bench.spaces.darts.tables import PUBLISHED
from bench.training import tabulate
from bench.training.tabulation import Tabulation, read_recipe
from bench.truth._summary import checks, summary, truths
from bench.truth.table import Table
from tests.truth import builders

RECIPE = """
space: {name: darts, preset: PRESET, channels: 2, layers: 3}
data: {name: digits, size: 80}
training: {epochs: 1, batch: 20, drop_path: 0.2, cutout: 2, auxiliary: 0, test: half}
population: {size: 3}
"""
MEASURED = {"dataset": "digits", "split": "valid", "budget": 1}


def recipe(folder: Path, preset: str, *sets: str) -> Tabulation:
    (folder / "tiny.yaml").write_text(RECIPE.replace("PRESET", preset))
    return read_recipe(folder / "tiny.yaml", list(sets))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table of S2 and one of S4, made in this process."""
    found = {}
    for preset in ("s2", "s4"):
        folder = tmp_path_factory.mktemp(preset)
        asked, found[preset] = recipe(folder, preset), folder / "t.parquet"
        tabulate.prepare(asked)
        tabulate.write(asked, [tabulate.train(trial) for trial in asked.trials()], found[preset])
    return found


def settings(space: Any, path: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "space": space,
            "data": {"name": "digits", "size": 80},
            "selection": "argmax",
            "truth": {"name": "table", "path": str(path), **MEASURED},
            "ranking": None,
            **more,
        }
    )


@pytest.mark.parametrize("preset", ["s2", "s4"])
def test_a_table_says_whose_cells_it_holds(tables: dict[str, Path], preset: str) -> None:
    """S4's noise is no operation of the space as it comes: the file says what its cells are of."""
    found = list(truths(str(tables[preset])))
    assert [truth.split for truth in found] == ["train", "valid"]
    for truth in found:
        assert truth.space.name == "darts" and len(truth.accuracy) == 3
        assert (
            truth.space.operations
            == registry.parse("spaces", {"name": "darts", "preset": preset}).operations
        )
        assert summary(truth)["unique_cells"] == 3
        assert [check.ok for check in checks(truth)] == [None] * 4
    assert "sep_conv_3x3 channels=2" in found[0].provenance and "\n" not in found[0].provenance


def test_more_cells_and_seeds_go_on_where_it_stopped(tmp_path: Path) -> None:
    first, out = recipe(tmp_path, "s1"), tmp_path / "t.parquet"
    assert tabulate.tabulate(first, out, jobs=2)["trials"] == 3
    journal = (tmp_path / "t.trials" / tabulate.JOURNAL).read_text()
    more = recipe(tmp_path, "s1", "population.size=4", "seeds=2")
    assert first.trials() == more.trials()[:3]  # a larger draw begins with the smaller one
    assert tabulate.tabulate(more, out, jobs=1) == {"trials": 8, "missing": 0, "failed": {}}
    assert (tmp_path / "t.trials" / tabulate.JOURNAL).read_text().startswith(journal)
    allowed = more.space.candidates()
    for name, _ in more.trials():
        cell = more.space.decode(name)
        assert all(o < 0 or o in own for o, own in zip(cell, allowed, strict=True))
    with pytest.raises(TruthError, match="another space, data or training"):
        tabulate.tabulate(recipe(tmp_path, "s3"), out, jobs=1)


def test_found_cells_are_looked_up_and_others_stay_missing(tables: dict[str, Path]) -> None:
    space = {"name": "darts", "preset": "s2", "channels": 2, "layers": 3}
    setup = build(settings(space, tables["s2"]), [], seed=0)
    (known, *_), table = recipe(tables["s2"].parent, "s2").trials(), setup.truth
    assert table is not None
    found = judge_cell(setup, setup.space.decode(known[0]))
    assert found["true_accuracy"] == table.accuracy[known[0]][0]
    assert found["regret"] == table.best - found["true_accuracy"] and found["percentile"] < 100
    other = next(
        cell
        for cell in setup.space.sample(9, draws())
        if setup.space.encode(cell) not in table.accuracy
    )
    lost = judge_cell(setup, other)
    assert all(np.isnan(lost[name]) for name in ("true_accuracy", "regret", "percentile"))
    assert lost["truth"]["cells"] == 3


def test_a_search_is_ranked_on_the_cells_that_were_tabulated(tables: dict[str, Path]) -> None:
    """The same space and seed draw the same cells, whatever the sizes of the networks."""
    from bench.ranking.measure import measure
    from bench.search.setup import initial_state

    space = {"name": "darts", "preset": "s2", "channels": 4, "layers": 3}
    ranking = {"population": {"size": 3}, "images": 16, "batch": 16, "resamples": 10}
    setup = build(settings(space, tables["s2"], ranking=ranking), [], seed=0)
    assert setup.settings.ranking is not None
    table = measure(setup, initial_state(setup), setup.settings.ranking).table
    assert setup.truth is not None and list(table["arch"]) == list(setup.truth.accuracy)
    assert table["truth"].notna().all()


def draws() -> Any:
    from bench.streams import generator

    return generator("cpu", 0, "test")


def test_a_table_of_one_space_is_refused_in_another(
    tables: dict[str, Path], synthetic: Path
) -> None:
    cases = [
        ("nb201", tables["s2"], MEASURED, r"t.parquet knows cells of darts, not of nb201"),
        ({"name": "darts", "preset": "s2"}, synthetic, {}, r"table.csv.gz knows cells of nb201"),
        (
            {"name": "darts", "preset": "s2"},
            tables["s4"],
            MEASURED,
            r"none of the 3 cells of .*t.parquet is one of this darts space \(skip_connect, sep_",
        ),
    ]
    for space, path, fields, says in cases:
        given = {"name": "table", "path": str(path), **fields}
        asked = settings(space, path).model_copy(update={"truth": registry.parse("truth", given)})
        with pytest.raises(TruthError, match=says) as caught:
            build(asked, [], seed=0)
        assert "\n" not in str(caught.value)


def test_genotypes_are_read_in_any_writing(tmp_path: Path) -> None:
    """A published name, the original notation: one cell, and twice is twice."""
    space, path = registry.parse("spaces", "darts"), tmp_path / "t.csv"
    path.write_text(
        f'arch,cifar10_test_600\n"{PUBLISHED["DARTS_V2"]}",97.24\nDARTS_V1,97.0\n"PC_DARTS",97.43\n'
    )
    truth = Table(path=path, column="cifar10_test_600").load()
    names = [space.spell(name) for name in ("DARTS_V2", "DARTS_V1", "PC_DARTS")]
    assert truth.space.name == "darts" and list(truth.accuracy) == names
    assert truth.mean(names).tolist() == [97.24, 97.0, 97.43]
    with path.open("a") as file:
        file.write("DARTS_V2,97.1\n")
    with pytest.raises(TruthError, match=r"t.csv: row 5 repeats Genotype.* of row 2"):
        Table(path=path, column="cifar10_test_600").load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DARTS_V2,97\nDARTS_V9,97\n", r"row 3: no published genotype 'DARTS_V9'"),
        (f"DARTS_V2,97\n{builders.some_cells(1)[0]},97\n", r"row 3: not a genotype"),
        (f"{builders.some_cells(1)[0]},97\nDARTS_V2,97\n", r"row 3: a NAS-Bench-201 cell has 3"),
        ("DARTS_V2,97\n,97\n", r"row 3: the column 'arch' is empty"),
    ],
)
def test_what_is_no_cell_is_named_by_its_row(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arch,cifar10_test_600\n" + text)
    with pytest.raises(TruthError, match=says) as caught:
        Table(path=path, column="cifar10_test_600").load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("said", ['{"name": "dart"}', "[1", '{"name": "darts", "nodes": 99}'])
def test_a_file_that_names_no_space_of_ours_is_refused(
    tables: dict[str, Path], tmp_path: Path, said: str
) -> None:
    import pyarrow.parquet as pq

    from bench.tables import long as _long

    table = pq.read_table(tables["s2"])
    origin = json.loads(table.schema.metadata[_long.METADATA]) | {"space": said}
    path = tmp_path / "t.parquet"
    pq.write_table(
        table.replace_schema_metadata({_long.METADATA: json.dumps(origin).encode()}), path
    )
    with pytest.raises(TruthError, match=r"t.parquet: says of its space: ") as caught:
        Table(path=path, **MEASURED).load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["population.size=null"], "size: null needs every cell of darts"),
        (["population.kind=stratified", "truth=analog"], "knows cells of nb201, not of darts"),
        (["population.kind=top"], "top needs every cell of darts"),
    ],
)
def test_a_population_that_cannot_be_had_is_refused(
    tmp_path: Path, sets: list[str], says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        recipe(tmp_path, "s2", *sets).trials()
    assert "\n" not in str(caught.value)


def test_a_search_judged_by_a_table_that_lacks_its_cell_says_so(
    tables: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [
        "run",
        "ablations/darts_space/s2.yaml",
        "--profile",
        "smoke",
        "--only",
        "darts",
        "--set",
        "data.size=64",
        "--set",
        "search.epochs=1",
        "--set",
        "truth.name=table",
        "--set",
        f"truth.path={tables['s2']}",
        "--set",
        "truth.dataset=digits",
        "--set",
        "truth.split=valid",
        "--set",
        "truth.budget=1",
        "-o",
        str(out),
        "--executor",
        "inline",
    ]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0, done.output
    (result,) = (json.loads(path.read_text()) for path in out.glob("*/result.json"))
    assert result["true_accuracy"] is None and result["percentile"] is None
    said = "The truth does not know the derived cell of 1 of 1 finished runs"
    assert said in " ".join(done.stdout.split())
    assert said in (out / "report.html").read_text()
