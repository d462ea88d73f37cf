"""What is kept in results/ and rests on a fault says so, on every page of it."""

from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"
MARKS = ("superseded", "made again")
SUPERSEDED = sorted(
    folder.parent
    for folder in RESULTS.glob("*/README.md")
    if any(f"> **{mark}" in folder.read_text().lower() for mark in MARKS)
)


def test_some_are():
    assert len(SUPERSEDED) > 4


@pytest.mark.parametrize("folder", SUPERSEDED, ids=lambda folder: folder.name)
def test_every_page_of_what_is_superseded_says_so_before_its_numbers(folder):
    for page in folder.rglob("*.md"):
        head = page.read_text().lower().splitlines()[:6]
        assert any(line.startswith(f"> **{m}") for line in head for m in (*MARKS, "to be")), page


def test_reproduced_tables_are_judged_by_a_margin():
    for page in RESULTS.glob("reproduce/*/summary.md"):
        text = page.read_text()
        assert "one published standard deviation" not in text, page
    judged = (RESULTS / "reproduce/nas-bench-201/summary.md").read_text()
    assert "margin" in judged and " SE)" in judged
