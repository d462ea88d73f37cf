"""The reference of settings is what there is, and every word of the page is in the glossary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.contracts import registry
from bench.search import reference

DOCS = Path(__file__).parents[2] / "docs"


def said(*words: str) -> str:
    # A width that is said lays the table out; pytest's workers say one.
    done = CliRunner(env={"COLUMNS": None}).invoke(application(), ["list", "settings", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_file_is_what_would_be_written() -> None:
    assert (DOCS / "settings.md").read_text() == said("--markdown")


def test_every_setting_of_a_run_has_a_meaning_and_a_default() -> None:
    rows = json.loads(said("--json"))
    assert {"search.epochs", "search.weights.lr", "ranking.population.size"} <= {
        row["name"] for row in rows
    }
    assert [row["name"] for row in rows if not row["meaning"]] == []
    assert [row["name"] for row in rows if row["default"] == "required"] == ["space", "data"]
    assert all(f"{row['name']}\t" in said() for row in rows[:5])


@pytest.mark.parametrize("seam", list(registry.SEAMS))
def test_every_member_and_parameter_is_there(seam: str) -> None:
    text = (DOCS / "settings.md").read_text()
    for member, rows in reference.members(seam):
        assert f"### {member.name}\n" in text
        assert len(rows) >= len(member.model_fields)


@pytest.mark.parametrize(
    "word", ["collapse", "τ (tau)", "weight-free", "regret", "ceiling, noise ceiling", "points"]
)
def test_the_glossary_has_the_words_of_the_tables(word: str) -> None:
    assert f"| {word} |" in (DOCS / "glossary.md").read_text()
