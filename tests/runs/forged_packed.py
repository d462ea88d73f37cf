"""A folder of results that was forged: results, hashes and scores, every checksum right."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from typer.testing import CliRunner

from bench.cli import _one_line, application
from bench.runs import packed, store
from tests.runs import forged

COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "verify": lambda root: ["verify", str(root)],
    "merge": lambda root: ["merge", str(root), "-o", str(root.parent / "merged")],
    "report": lambda root: ["report", str(root), "--json"],
    "compare": lambda root: ["compare", "skip_dropout", "darts", "--in", str(root)],
    "verdict": lambda root: ["verdict", str(root), "--to", str(root.parent / "verdict")],
    "pack": lambda root: ["pack", str(root), "-o", str(root.parent / "again")],
}


def output(place: Path) -> Path:
    """Write a folder of results as `bench pack` does."""
    root = place / "packed"
    done = CliRunner().invoke(
        application(), ["pack", str(forged.output(place)), "-o", str(root)], catch_exceptions=False
    )
    assert done.exit_code == 0
    return root


def contents(root: Path) -> dict[str, dict[str, Any]]:
    """Return run → result, without the checksum."""
    frame = pd.read_parquet(root / packed.RESULTS)
    found = {}
    for folder, text, history in frame.itertuples(index=False):
        result = {**json.loads(text), "history": json.loads(history)}
        found[folder] = {key: value for key, value in result.items() if key != "checksum"}
    return found


def put(root: Path, results: dict[str, Any]) -> None:
    """Write results, and the hashes of everything, as whoever forges them would."""
    rows = []
    for folder, result in results.items():
        whole = forged.sealed(result)
        history = whole.pop("history", "<missing>") if isinstance(whole, dict) else []
        rows.append(
            (folder, json.dumps(whole), "" if history == "<missing>" else json.dumps(history))
        )
    frame = pd.DataFrame(rows, columns=list(packed.COLUMNS)).astype("string")
    frame.to_parquet(root / packed.RESULTS, index=False)
    seal(root)


def seal(root: Path) -> None:
    """Write the hashes anew."""
    names = json.loads((root / packed.HASHES).read_text())["files"]
    hashes = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}
    store.write_json(root / packed.HASHES, store.seal({"files": hashes}))


def invoke(command: str, root: Path) -> tuple[str, str]:
    """Run a command over the folder; return its output and what is wrong with how it ended."""
    done = CliRunner().invoke(application(), COMMANDS[command](root))
    for left in ("merged", "again", "verdict"):
        shutil.rmtree(root.parent / left, ignore_errors=True)
    text, error = done.output, done.exception
    if error is not None and not isinstance(error, SystemExit):
        line = _one_line(error)
        if not isinstance(error, ValueError) or str(root) not in line:
            return text, f"names no file: {line}"
        text += line
    if bad := [c for c in text if not c.isprintable() and c != "\n"]:
        return text, f"prints {bad[0]!r}"
    return text, ""


def attack(root: Path, draw: random.Random, commands: list[str]) -> list[str]:
    """Forge a value of one result, run commands, put back what was there; return what went wrong."""
    kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    results = contents(root)
    name = draw.choice(sorted(n for n, result in results.items() if result["status"] == "ok"))
    at = draw.choice([at for at in forged.few(results[name]) if at])
    value = draw.choice(forged.VALUES)
    what = f"{name}: {'.'.join(map(str, at))} = {str(value)[:40]!r}"
    wrong = []
    try:
        put(root, {**results, name: forged.changed(results[name], at, value)})
        for command in commands:
            if problem := invoke(command, root)[1]:
                wrong.append(f"{what}: {command}: {problem}")
        if lost := set(results) - {name} - set(packed.results(root)):
            wrong.append(f"{what}: lost {lost}")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    return wrong
