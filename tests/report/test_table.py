"""The tables: legible at 100 columns in a pipe, and exports that hold the same numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from bench.cli import application
from bench.metrics import listed, number, p_text
from bench.report.summary import Summary
from bench.report.table import as_csv, as_markdown, as_text
from bench.report.tex import as_tex
from bench.spaces.nb201 import NB201
from bench.written import duration
from tests.report.builders import SKIPS, failed, folder, ok


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    arms = {
        "old": [ok(5), ok(6), ok(6)],
        "new": [ok(1), failed(), None],
        "a_very_long_label_that_does_not_fit_in_a_column": [ok(2), ok(2, tau=-0.25), ok(1)],
    }
    return Summary.read(folder(tmp_path / "x", arms))


def test_a_pipe_of_100_columns_holds_every_run_and_the_answer(
    summary: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    as_text(summary)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100 and "\x1b" not in text
    assert "1/3" in text and "3/3" in text
    assert "diverged: training loss is nan" in text and "missing: no result" in text
    assert " ".join(text.split()).count(summary.answer) == 1
    assert "skip|skip skip|skip skip skip" in text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_gets_as_many_columns_as_fit_and_no_name_or_number_is_cut(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    arms = {"darts": [ok(5), ok(6), ok(6)], "skip_dropout_0.3": [ok(1), failed(), ok(0)]}
    summary = Summary.read(folder(tmp_path / "x", arms, of="skip_dropout_0.3", against="darts"))
    as_text(summary)
    lines = capsys.readouterr().out.splitlines()
    table = lines[1 : lines.index("", 1)]
    assert max(map(cell_len, table)) <= columns
    assert [line.split()[0] for line in table if line[0] not in " n"][:3] == [
        "variant",
        "darts",
        "skip_dropout_0.3",
    ]
    left_out = next((line for line in lines if line.startswith("no room for")), "")
    for heading in (" ok", "skips", "w-free", "true acc.", "regret", "τ accuracy", "coll."):
        assert (heading in table[0]) != (heading in left_out), heading
    assert bool(left_out) == (columns < 100)


def test_markdown_and_tex_hold_all_variants_and_escape(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "x", {"old": [ok(5)], "new_1": [ok(1)]}, of="new_1", question="a|b_c <i>\n# d"
    )
    found = Summary.read(root)
    text = as_markdown(found)
    assert text.startswith("# a\\|b\\_c &lt;i> \\# d\n") and "| new\\_1 | 1 of 1 | −4.0 |" in text
    widths = {
        line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")
    }
    assert len(widths) == 1
    tex = as_tex(found)
    assert r"new\_1 & 1 of 1 & $-$4.0 &" in tex and tex.count(r"\\") == 5


def test_csv_is_read_back_and_starts_no_formula(summary: Summary) -> None:
    frame = summary.runs.copy()
    frame.loc[0, "error"] = "=cmd()"
    rows = list(csv.DictReader(io.StringIO(as_csv(frame))))
    assert (
        len(rows) == 9 and rows[0]["error"] == "'=cmd()" and rows[1]["skip_count"] in ("6", "6.0")
    )


def test_json_is_valid_and_has_null_for_what_is_missing(summary: Summary) -> None:
    content = json.loads(summary.as_json())
    assert content["answer"] == summary.answer and len(content["runs"]) == 9
    assert [row["skip_count"] for row in content["runs"] if row["status"] != "ok"] == [None, None]


def test_numbers_are_written_as_people_read_them() -> None:
    assert [number(x, 1, signed=True) for x in (-0.04, 1.25, -3.0, float("nan"))] == [
        "0.0",
        "+1.2",
        "−3.0",
        "—",
    ]
    assert [duration(x) for x in (4.2, 61, 600, 9000)] == ["4.2 s", "61 s", "10 min", "2.5 h"]
    assert p_text(0.0001) == "< 0.001" and listed(["a", "b", "c"]) == "a, b and c"
    assert NB201().short(SKIPS) == "skip|skip skip|skip skip skip" and NB201().short("x") == "x"


def bench(*words: object) -> Any:
    """Run a command in this process; errors stay exceptions."""
    return CliRunner().invoke(application(), list(map(str, words)))


def test_report_writes_page_exports_and_index(tmp_path: Path) -> None:
    folder(tmp_path / "a", {"old": [ok(5)], "new": [ok(1)]}, rankings=False, epochs=0)
    folder(tmp_path / "b", {"old": [ok(5)], "new": [ok(1)]}, metric="nonsense", rankings=False)
    done = bench("report", tmp_path, "--md", "--tex", "--csv", "--json")
    assert done.exit_code == 1 and "no column 'nonsense'" in done.stderr
    assert json.loads(done.stdout)[0]["name"] == "a"
    assert {p.name for p in (tmp_path / "a").iterdir() if p.is_file()} == {
        "ablation.json",
        "report.html",
        "report.md",
        "report.tex",
        "variants.csv",
        "runs.csv",
        "history.csv",
    }
    assert "nonsense" in (tmp_path / "index.html").read_text()


def test_compare_refuses_tau_across_protocols(tmp_path: Path) -> None:
    old = folder(tmp_path / "a", {"old": [ok(5)] * 6, "new": [ok(1)] * 6}, rankings=False)
    new = folder(
        tmp_path / "b",
        {"old": [ok(3, protocol="x")] * 6, "new": [ok(1, protocol="x")] * 6},
        rankings=False,
    )
    done = bench("compare", old, new, "--json")
    found = {(r["metric"], r["of"].split()[0]): r for r in json.loads(done.stdout)}
    assert done.exit_code == 0 and "different ranking protocols" in done.stderr
    assert (
        found["skip_count", "old"]["difference"] == 2 and found["skip_count", "old"]["p"] == 0.03125
    )
    assert not {name for name, _ in found} & {"tau", "tau_loss"}
    text = bench("compare", "--in", old, "new", "old", "-m", "tau").stdout
    assert "τ by accuracy" in text and "new − old" in text
    wrong = bench("compare", "--in", old, "nwe", "old")
    assert str(wrong.exception).endswith("did you mean 'new'?")
