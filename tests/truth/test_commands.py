"""`bench truth`: what it prints, and that a wrong order of operations does not pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bench.commands import truth as command
from bench.contracts.truth import TruthError
from bench.spaces.nb201 import cells
from tests.truth import builders

Imported = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()

    @app.callback()
    def root() -> None:
        """Be a group, as the real application is."""

    command.register(app)
    return app


def invoke(app: typer.Typer, *arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["truth", *map(str, arguments)])


def test_info_of_the_embedded_table(app: typer.Typer) -> None:
    done = invoke(app, "info", "--json")
    (entry,) = json.loads(done.stdout)
    assert entry["cells"] == 15_625 and entry["unique_cells"] == 6_466
    assert entry["best"] == pytest.approx(94.07, abs=0.005) and entry["noise_ceiling"] is None
    assert entry["measured"] == "cifar10_test_200"


def test_info_of_a_table(app: typer.Typer, synthetic: Path) -> None:
    entries = {
        e["measured"]: e for e in json.loads(invoke(app, "info", synthetic, "--json").stdout)
    }
    assert list(entries) == ["cifar10_test_200", "cifar10_valid_12"]
    twelve = entries["cifar10_valid_12"]
    assert twelve["seeds"] == 2 and twelve["missing_trials"] == 1
    assert twelve["noise_ceiling"] == pytest.approx(1)  # the two columns are the same
    assert "cifar10_valid_12" in invoke(app, "info", synthetic).stdout


def test_info_of_an_import(app: typer.Typer, imported: Imported) -> None:
    entries = {
        e["measured"]: e for e in json.loads(invoke(app, "info", imported[0], "--json").stdout)
    }
    ten = entries["cifar10_test_200"]
    assert ten["seeds"] == 3 and ten["missing_trials"] == 2 and ten["cells"] == 24
    assert 0.8 < ten["noise_ceiling"] < 1
    assert "cifar10-valid_valid_12" in entries and "cifar10_valid_200" not in entries


def test_import_then_verify_against_the_source(
    app: typer.Typer, few_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(app, "import", few_file)
    out = Path("data/truth", few_file.with_suffix(".parquet").name)
    assert done.exit_code == 0 and str(out) in done.stdout and out.is_file()
    assert invoke(app, "verify", out, "--source", few_file).exit_code == 0
    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    done = invoke(app, "verify", out, "--source", other)
    assert done.exit_code == 1 and "FAILED" in done.stdout


def test_verify_passes_what_is_right(app: typer.Typer, synthetic: Path) -> None:
    for target in ("analog", synthetic):
        done = invoke(app, "verify", target)
        assert done.exit_code == 0 and "isomorphic cells agree" in done.stdout


@pytest.mark.parametrize("wrong", ["operations", "edges"])
def test_verify_notices_a_wrong_order(app: typer.Typer, wrong: str, tmp_path: Path) -> None:
    """Good numbers under the names of other cells."""
    columns: dict[str, list[Any]] = {"arch": [], "cifar10_test_200": []}
    for cell in cells.architectures():
        if wrong == "operations":
            renamed = tuple((1, 0, 3, 2, 4)[operation] for operation in cell)
        else:
            renamed = tuple(cell[i] for i in (0, 1, 3, 2, 4, 5))
        columns["arch"].append(cells.encode(renamed))
        columns["cifar10_test_200"].append(builders.everything()[cells.encode(cell)])
    path = tmp_path / "t.csv"
    path.write_text(builders.csv_text(columns))
    done = invoke(app, "verify", path, "--json")
    assert done.exit_code == 1
    assert any(check["ok"] is False for check in json.loads(done.stdout))


def test_verify_says_what_it_could_not_ask(app: typer.Typer, imported: Imported) -> None:
    done = invoke(app, "verify", imported[0], "--json")
    assert done.exit_code == 0
    notes = [check["check"] for check in json.loads(done.stdout) if check["ok"] is None]
    assert "complete" in notes


def test_errors_are_truth_errors(app: typer.Typer, tmp_path: Path, synthetic: Path) -> None:
    (tmp_path / "t.csv").write_text("arch,acc\n" + builders.some_cells(1)[0] + ",3\n")
    for arguments, expected in (
        (("info", "anolog"), "known: analog"),
        (("info", "table"), "no such file"),
        (("info", tmp_path / "t.csv"), "no column is named <dataset>_<split>_<budget>"),
        (("verify", synthetic, "--source", synthetic), "records no source"),
        (("import", tmp_path / "x.pth"), "no such file"),
        (("import", tmp_path / "t.csv"), "neither"),
    ):
        done = invoke(app, *arguments)
        assert isinstance(done.exception, TruthError) and expected in str(done.exception)


def test_nothing_heavy_at_import() -> None:
    check = (
        "import sys, bench.commands.truth;"
        "print([m for m in ('torch', 'numpy', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_info_of_the_real_table(app: typer.Typer, real: Any) -> None:
    entries = json.loads(invoke(app, "info", builders.REAL, "--json").stdout)
    assert len(entries) == 9
    assert np.isclose(entries[0]["best"], 94.37, atol=0.005)
    assert np.isclose(entries[0]["mean"], 87.06, atol=0.005)
