"""What was asked for is printed where no page can be written."""

import json

import pytest
from typer.testing import CliRunner

from bench import files
from bench.cli import application
from tests.report.builders import folder, ok


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a folder into which nothing can be written; permissions do not hold root back."""
    made = folder(tmp_path / "x", {"new": [ok(2), ok(1)], "old": [ok(5), ok(5)]})

    def refuse(path, content):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(files, "write_atomically", refuse)
    monkeypatch.setattr("bench.report.page.write_atomically", refuse)
    return made


def test_json_is_printed_first(root):
    done = CliRunner().invoke(application(), ["report", str(root), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["name"] == "x"
    assert "warning: no page: " in done.stderr and "Read-only file system" in done.stderr


def test_tables_are_printed_and_the_missing_page_is_a_failure(root):
    done = CliRunner().invoke(application(), ["report", str(root)])
    assert done.exit_code == 1 and "None of 4 runs failed" in done.stdout
    assert "warning: no page: " in done.stderr
