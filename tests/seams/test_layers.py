"""Who may import whom: the layers of the house, read off the syntax tree.

Typing imports and imports inside functions count like all others, so that a ring cannot hide in them.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bench"
MEMBERS = {
    "spaces",
    "variants",
    "hypergradients",
    "selection",
    "instruments",
    "truth",
    "data",
    "executors",
    "blackbox",
    "exports",
}
ENGINE = {"ablation", "search", "runs", "training", "ranking"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("bench")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bench":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return found


GRAPH = {name: imports(path) - {name} for name, path in MODULES.items()}


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def offences(of: set[str], may_not: set[str]) -> list[str]:
    return sorted(
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        if room(name) in of
        for other in others
        if room(other) in may_not
    )


def test_contracts_import_no_engine_and_no_member() -> None:
    assert offences({"contracts"}, ENGINE | MEMBERS | {"report", "commands", "gate"}) == []


def test_the_engine_imports_no_member() -> None:
    assert offences(ENGINE, MEMBERS) == []


def test_what_is_asked_knows_nothing_of_how_it_is_shown() -> None:
    assert offences({"ablation"}, {"report", "commands"}) == []
    assert offences(ENGINE | MEMBERS, {"commands"}) == []


def test_no_two_files_import_each_other() -> None:
    rings = sorted(
        f"{name} ⇄ {other}"
        for name, others in GRAPH.items()
        for other in others
        if name < other
        and name in GRAPH.get(other, ())
        and MODULES[other] != PACKAGE / "__init__.py"
    )
    assert rings == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "report").glob("*.py")), ids=lambda p: p.stem)
def test_the_report_knows_no_space_by_name(path: Path) -> None:
    """What a cell looks like, and what its operations are called, a space says itself."""
    words = re.findall(r"nb201|nor_conv|sep_conv|\b6466\b|6,466|bench\.spaces", path.read_text())
    assert words == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_late_import_says_why(path: Path) -> None:
    """Own modules inside a function only to save start-up time, with a comment that says so.

    Other people's heavy or optional packages may be imported where they are needed without a word.
    """
    lines = path.read_text().splitlines()
    unsaid = []
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                own = isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("bench")
                if own or (
                    isinstance(inner, ast.Import) and inner.names[0].name.startswith("bench")
                ):
                    unsaid.append(inner.lineno)
    known = [n for n in unsaid if "#" not in lines[n - 1] and "#" not in lines[n - 2]]
    if room(module_of(path)) == "commands" or module_of(path) == "bench.cli":
        return  # a command's imports are all late: `--help` must answer at once (bench/cli.py)
    assert [f"{path.name}:{n}: {lines[n - 1].strip()}" for n in known] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_short_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)) or not text.strip()
