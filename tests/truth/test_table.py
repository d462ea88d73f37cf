"""Tables: what is read, and what is refused with one line that says where and why."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.contracts.truth import Truth, TruthError
from bench.tables import long
from bench.truth.analog import Analog
from bench.truth.table import Table
from tests.truth import builders

CELLS = builders.some_cells(6)
VALUES = [91.5, 90.0, 88.25, 70.0, 93.0, 10.0]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def wide(**columns: list[Any]) -> str:
    return builders.csv_text({"arch": CELLS, **columns})


def refusal(source: Any) -> str:
    with pytest.raises(TruthError) as caught:
        source.load()
    text = str(caught.value)
    assert text and "\n" not in text and len(text) < 900
    return text


# What is read


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_three_file_formats_give_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    frame = pd.DataFrame({"arch": CELLS, "cifar10_test_200": VALUES})
    frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path)
    truth = Table(path=path).load()
    assert list(truth.accuracy) == CELLS
    np.testing.assert_array_equal(truth.mean(CELLS), VALUES)
    assert (truth.dataset, truth.split, truth.budget) == ("cifar10", "test", 200)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t.csv", wide(digits_test_15=VALUES))
    monkeypatch.chdir(tmp_path)
    truth = Table(path="t.csv", column="digits_test_15").load()
    assert (truth.dataset, truth.split, truth.budget) == ("digits", "test", 15)


def test_data_set_names_may_hold_underscores(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", wide(my_own_set_valid_3=VALUES))
    truth = Table(path=path, column="my_own_set_valid_3").load()
    assert (truth.dataset, truth.split, truth.budget) == ("my_own_set", "valid", 3)
    fields = {"dataset": "my_own_set", "split": "valid", "budget": 3}
    assert Table(path=path, **fields).load().best == truth.best


def test_seeds_in_columns_and_missing_ones(tmp_path: Path) -> None:
    second = ["", "nan", "NA", 71, 72, 73]
    columns = {"cifar10_test_200_seed888": second, "cifar10_test_200_seed777": VALUES}
    truth = Table(path=write(tmp_path / "t.csv", wide(**columns))).load()
    table = np.stack([truth.accuracy[name] for name in CELLS])
    np.testing.assert_array_equal(table[:, 0], VALUES)  # seed 777 first
    np.testing.assert_array_equal(np.isnan(table[:, 1]), [True] * 3 + [False] * 3)
    assert truth.mean(CELLS)[0] == 91.5 and truth.mean(CELLS)[3] == 70.5


def test_the_exact_column_wins_over_its_seeds(tmp_path: Path) -> None:
    columns = {"cifar10_test_200_seed1": [1.5] * 6, "cifar10_test_200": VALUES}
    assert Table(path=write(tmp_path / "t.csv", wide(**columns))).load().best == 93.0


def test_any_column_with_its_meaning_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", wide(acc=VALUES))
    source = Table(path=path, column="acc", dataset="svhn", split="test", budget=50)
    assert source.load().dataset == "svhn"
    assert "dataset, split and budget" in refusal(Table(path=path, column="acc"))


def test_byte_order_mark_spaces_and_windows_lines(tmp_path: Path) -> None:
    text = "\ufeff" + wide(cifar10_test_200=VALUES).replace("\n", "\r\n")
    assert Table(path=write(tmp_path / "t.csv", text)).load().best == 93.0


def test_cells_that_the_table_lacks_are_missing(tmp_path: Path) -> None:
    truth = Table(path=write(tmp_path / "t.csv", wide(cifar10_test_200=VALUES))).load()
    other = next(name for name in builders.some_cells(9) if name not in CELLS)
    assert np.isnan(truth.mean([other])).all()


# What is refused

GOOD = wide(cifar10_test_200=VALUES)
LINE = GOOD.splitlines()


def changed(line: int, text: str) -> str:
    return "\n".join([*LINE[:line], text, *LINE[line + 1 :]]) + "\n"


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "blank": ("\n \n", "empty"),
    "header only": (LINE[0] + "\n", ""),
    "no arch": (GOOD.replace("arch,", "cell,"), "no column 'arch'"),
    "misspelt column": (GOOD.replace("test_200", "tset_200"), "did you mean"),
    "no such column": ("arch,x\n" + CELLS[0] + ",3\n", "no column 'cifar10_test_200'; known: x"),
    "column twice": (GOOD.replace("arch,", "arch,arch,"), "2 times"),
    "word": (changed(3, f"{CELLS[2]},good"), "row 4: cifar10_test_200 is not a number: 'good'"),
    "decimal comma": (changed(3, f'{CELLS[2]},"93,4"'), "row 4"),
    "percent sign": (changed(2, f"{CELLS[1]},93%"), "row 3"),
    "underscore": (changed(2, f"{CELLS[1]},9_3"), "row 3"),
    "above 100": (changed(2, f"{CELLS[1]},100.5"), "row 3: cifar10_test_200 is 100.5"),
    "negative": (changed(6, f"{CELLS[5]},-1"), "row 7: cifar10_test_200 is -1"),
    "infinite": (changed(6, f"{CELLS[5]},inf"), "row 7"),
    "fractions": (wide(cifar10_test_200=[v / 100 for v in VALUES]), "multiply by 100"),
    "no number": (wide(cifar10_test_200=[""] * 6), "holds no number"),
    "duplicate": (changed(6, LINE[2]), "row 7 repeats"),
    "unknown operation": (GOOD.replace("skip_connect", "conv"), "unknown operation 'conv'"),
    "two nodes": (changed(4, "|none~0|+|none~0|none~1|,50"), "3 nodes"),
    "wrong origin": (GOOD.replace("~1|", "~0|"), "row 2"),
    "empty arch": (changed(4, ",50"), "row 5: the column 'arch' is empty"),
    "trailing blank in arch": (changed(1, f"{CELLS[0]} ,50"), "row 2"),
    "too few fields": (changed(3, CELLS[2]), "not a CSV table"),
    "too many fields": (changed(3, LINE[3] + ",1"), "not a CSV table"),
    "tabs": (GOOD.replace(",", "\t"), "no column 'arch'"),
    "semicolons": (GOOD.replace(",", ";"), "no column 'arch'"),
    "latin-1": ("arch,größe\n".encode("latin-1"), "not a CSV table"),
    "bad utf-8 in a cell": (changed(2, "x,1").encode().replace(b"x", b"\xff"), "not a CSV table"),
    "utf-16": (GOOD.encode("utf-16"), ""),
    "nul bytes": (GOOD.replace("91.5", "91\0"), "binary"),
    "zip": (b"PK\x03\x04" + bytes(30), "bench truth import"),
    "pickle": (b"\x80\x04]\x94.", "bench truth import"),
    "json": ('{"arch": 1}', "JSON"),
    "html": ("<html><body>404</body></html>", "HTML"),
    "open quote": (GOOD.replace(CELLS[3], '"' + CELLS[3]), ""),
    "parquet magic only": (b"PAR1", "parquet"),
    "parquet, nothing inside": (b"PAR1" + bytes(40) + b"PAR1", "parquet"),
    "gzip header only": (b"\x1f\x8b", "cut short"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "gzip of a pickle": (gzip.compress(b"\x80\x04]\x94."), "pickle"),
    "gzip and rubbish": (gzip.compress(GOOD.encode()) + b"rubbish", "damaged gzip"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    content, expected = REFUSED[name]
    path = write(tmp_path / "t.csv", content)
    text = refusal(Table(path=path))
    assert expected in text and text.startswith(str(path))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "no such file" in refusal(Table(path=tmp_path / "x.csv"))
    assert "is a folder" in refusal(Table(path=tmp_path))
    assert refusal(Table(path=Path("a\0b")))


def test_column_and_fields_that_contradict(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", GOOD)
    text = refusal(Table(path=path, column="cifar10_test_200", budget=12))
    assert "contradict" in text and "budget" in text


def test_a_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tables.wide.LARGEST", 1 << 20)
    path = write(tmp_path / "t.csv.gz", gzip.compress(bytes(8 << 20)))
    assert "unpacks to more than" in refusal(Table(path=path))


# The long format

TRIALS: dict[str, list[Any]] = {
    "arch": [CELLS[0], CELLS[0], CELLS[1], CELLS[2], CELLS[0]],
    "dataset": ["cifar10"] * 4 + ["cifar10-valid"],
    "budget": [200, 200, 200, 200, 12],
    "seed": [777, 888, 888, 777, 777],
    "test_accuracy": [91.0, 93.0, 80.0, None, 70.0],
    "valid_accuracy": [None, None, None, None, 60.0],
}
ORIGIN = {"source": "s", "sha256": "0" * 64, "api": "a", "provenance": "made up"}


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    long.write(tmp_path / "long.parquet", TRIALS, ORIGIN)
    return tmp_path / "long.parquet"


def test_missing_trials_stay_missing(long_file: Path) -> None:
    truth = Table(path=long_file).load()
    assert set(truth.accuracy) == {CELLS[0], CELLS[1]}
    np.testing.assert_array_equal(truth.accuracy[CELLS[0]], [91.0, 93.0])
    np.testing.assert_array_equal(truth.accuracy[CELLS[1]], [np.nan, 80.0])
    assert "made up" in truth.provenance and "777, 888" in truth.provenance
    assert [p.name for p in long_file.parent.iterdir()] == ["long.parquet"]  # nothing left over


def test_validation_accuracies_of_cifar10_are_those_of_cifar10_valid(long_file: Path) -> None:
    truth = Table(path=long_file, column="cifar10_valid_12").load()
    assert truth.dataset == "cifar10-valid" and truth.best == 60.0


def test_validation_accuracies_of_its_own_come_first(tmp_path: Path) -> None:
    own = {**TRIALS, "valid_accuracy": [None, None, None, 50.0, 60.0]}
    long.write(tmp_path / "t.parquet", own, ORIGIN)
    assert Table(path=tmp_path / "t.parquet", split="valid").load().dataset == "cifar10"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"dataset": "cifar11"}, "did you mean 'cifar10'?"),
        ({"dataset": "cifar10-valid"}, "no cifar10-valid with budget 200; known: 12"),
        ({"budget": 100}, "known: 200"),
        ({"split": "train"}, "train_accuracy"),
        ({"column": "acc"}, "dataset, split and budget"),
    ],
)
def test_measurements_that_are_not_there(
    fields: dict[str, Any], expected: str, long_file: Path
) -> None:
    assert expected in refusal(Table(path=long_file, **fields))


@pytest.mark.parametrize(
    ("column", "row", "value", "expected"),
    [
        ("seed", 1, 777, "row 2 repeats"),
        ("test_accuracy", 1, 101.0, "row 2: test_accuracy is 101"),
        ("arch", 2, "|x~0|", "row 3"),
        ("dataset", 0, None, "column dataset has empty rows"),
        ("parameters", 1, -0.1, "row 2: parameters is -0.1, below zero"),
        ("flops", 0, -1.0, "row 1: flops is -1, below zero"),
        ("train_seconds", 1, -1.0, "row 2: train_seconds is -1, below zero"),
        ("weight", 1, -2.0, "row 2: weight is -2, below zero"),
    ],
)
def test_long_tables_that_are_refused(
    column: str, row: int, value: Any, expected: str, tmp_path: Path
) -> None:
    trials = {name: list(values) for name, values in TRIALS.items()}
    trials.setdefault(column, [1.0] * len(trials["arch"]))[row] = value
    with pytest.raises(TruthError, match=expected):
        long.write(tmp_path / "t.parquet", trials, ORIGIN)
    pq.write_table(pa.table(trials), tmp_path / "other.parquet")  # made by someone else
    assert expected in refusal(Table(path=tmp_path / "other.parquet"))


def test_metadata_says_where_it_is_from(long_file: Path) -> None:
    said = json.loads(pq.read_schema(long_file).metadata[long.METADATA])
    assert said == {**ORIGIN, "format": "1"}


# The embedded table


def analog(tmp_path: Path, content: bytes) -> Analog:
    return Analog(path=write(tmp_path / "data.anb", content))


def test_analog_translates_operations_and_edges(tmp_path: Path) -> None:
    table = dict(zip(CELLS, VALUES, strict=True))
    truth: Truth = analog(tmp_path, builders.analog_pickle(table)).load()
    assert {name: float(value[0]) for name, value in truth.accuracy.items()} == table


def test_analog_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.truth.analog.PACKAGE", "no-such-package-anywhere")
    assert "python -m pip install no-such-package-anywhere" in refusal(Analog())


@pytest.mark.parametrize("bad", [float("nan"), 100.1, -0.1, "93", None, True])
def test_analog_accuracies_that_are_none(bad: Any, tmp_path: Path) -> None:
    content = builders.analog_pickle({CELLS[0]: bad})
    assert "no accuracy in 0..100" in refusal(analog(tmp_path, content))


# Small files that stand for much, and what a stranger's CSV is like


def parquet_bombs() -> dict[str, Callable[[Path], None]]:
    cell = builders.some_cells(1)[0]

    def write(path: Path, rows: int, arch: str, **columns: Any) -> None:
        words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([arch]))
        table = pa.table({"arch": words, **columns})
        pq.write_table(table, path, compression="zstd")

    def many_rows(path: Path) -> None:
        write(path, 20_000_000, cell, cifar10_test_200=pa.array(np.zeros(20_000_000, np.int8)))

    def long_text(path: Path) -> None:
        write(path, 100_000, "x" * 200_000, cifar10_test_200=pa.array(np.zeros(100_000)))

    def long_number(path: Path) -> None:
        words = pa.array(np.zeros(100_000, np.int32))
        values = pa.DictionaryArray.from_arrays(words, pa.array(["9" * 200_000]))
        write(path, 100_000, cell, cifar10_test_200=values)

    def long_key(path: Path) -> None:
        rows = pa.array(np.zeros(100_000, np.int32))
        texts = pa.DictionaryArray.from_arrays(rows, pa.array(["9" * 200_000]))
        write(path, 100_000, cell, dataset=texts, budget=texts, seed=texts)

    found = (many_rows, long_text, long_number, long_key)
    return {made.__name__: made for made in found}


@pytest.mark.parametrize("kind", ["many_rows", "long_text", "long_number", "long_key"])
def test_a_small_parquet_that_stands_for_much_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet_bombs()[kind](path)
    assert path.stat().st_size < 500_000
    before = pa.total_allocated_bytes()
    with pytest.raises(TruthError, match=r"rows; no table|texts of 200,000 bytes"):
        Table(path=path).load()
    assert pa.total_allocated_bytes() - before < 50_000_000


def test_blank_lines_do_not_shift_the_rows_that_errors_name(tmp_path: Path) -> None:
    one, other = builders.some_cells(2)
    text = f"\n\narch,cifar10_test_200\n\n{one},90\n\n\n{other},x\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TruthError, match="row 8: cifar10_test_200 is not a number: 'x'"):
        Table(path=tmp_path / "t.csv").load()
    (tmp_path / "t.csv").write_bytes(text.replace(",x", ",80").replace("\n", "\r\n").encode())
    assert Table(path=tmp_path / "t.csv").load().mean([one, other]).tolist() == [90, 80]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_separator_is_named(mark: str, tmp_path: Path) -> None:
    lines = [("arch", "cifar10_test_200"), (builders.some_cells(1)[0], "90")]
    (tmp_path / "t.csv").write_text("\n".join(mark.join(line) for line in lines))
    with pytest.raises(TruthError, match=r"separator seems to be .*commas"):
        Table(path=tmp_path / "t.csv").load()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_a_table_given_to_the_embedded_truth_says_what_reads_it(
    ending: str, tmp_path: Path
) -> None:
    """`--set truth.path=` alone leaves the profile's truth."""
    path = tmp_path / f"t{ending}"
    text = wide(cifar10_test_200=VALUES)
    if ending == ".parquet":
        pd.DataFrame({"arch": CELLS, "cifar10_test_200": VALUES}).to_parquet(path)
    else:
        write(path, gzip.compress(text.encode()) if ending == ".csv.gz" else text)
    assert "but a table; of a table of your own say truth.name=table" in refusal(Analog(path=path))
