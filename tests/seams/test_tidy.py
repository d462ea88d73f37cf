"""What every file of this repository keeps to: its length, few tables set by hand, nothing that is made."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for room in ("bench", "tests", "tools", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
)
SET_BY_HAND = re.compile(r"#\s*fmt:\s*(?:skip|off)")
AT_MOST = 39
"""Tables whose columns the formatter would take apart."""


def committed() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("NO GIT CHECKOUT: what is committed was not looked at")
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 150


def test_only_real_tables_are_set_by_hand() -> None:
    found = sum(len(SET_BY_HAND.findall(path.read_text())) for path in SOURCES)
    assert found - len(SET_BY_HAND.findall(Path(__file__).read_text())) <= AT_MOST


def test_pages_are_made_and_not_kept() -> None:
    """Templates lie in the package; a page that was made from results has no place in git."""
    pages = [name for name in committed() if name.endswith((".html", ".htm"))]
    assert [name for name in pages if not name.startswith("bench/report/")] == []


def test_nothing_empty_was_left_behind() -> None:
    empty = [name for name in committed() if not (ROOT / name).stat().st_size]
    allowed = ("__init__.py", "py.typed", ".gitkeep")
    assert [name for name in empty if not name.endswith(allowed)] == []


def test_no_test_asserts_how_long_something_takes() -> None:
    """A busy machine must not make a test fail; speed is measured in `benchmarks`, as ratios."""
    clock = re.compile(r"assert\b[^\n]*\b(?:perf_counter|monotonic|process_time|time\.time)\b")
    tests = [
        path for path in SOURCES if (ROOT / "tests") in path.parents and path != Path(__file__)
    ]
    assert [str(path) for path in tests if clock.search(path.read_text())] == []
