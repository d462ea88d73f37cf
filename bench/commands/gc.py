"""`bench gc`: what an output folder could do without; deletes only when told to."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

YOUNG = 3600.0
"""Seconds during which a temporary file may still be somebody's."""


@dataclass(frozen=True)
class Item:
    """Something that could go: why, and how many bytes it takes."""

    kind: str
    path: Path
    size: int


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(gc)


def gc(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder, or a folder of them.")
    ],
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete it; without, only list.")
    ] = False,
    foreign: Annotated[
        bool, typer.Option("--foreign", help="Also run folders that belong to other settings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """List, or delete, checkpoints of finished runs, left-over temporary files and Slurm's logs."""
    from bench.runs.status import outputs

    items = [item for root in outputs(directory) for item in litter(root, foreign=foreign)]
    for item in items if delete else ():
        if item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)
        else:
            item.path.unlink(missing_ok=True)
    total = sum(item.size for item in items)
    if as_json:
        rows = [{"kind": i.kind, "path": str(i.path), "bytes": i.size} for i in items]
        print(json.dumps({"deleted": delete, "bytes": total, "items": rows}))
        return
    for item in items:
        print(f"{item.kind:11} {item.size / 1e6:8.1f} MB  {item.path}")
    done = "deleted" if delete else "could go; delete with --delete"
    print(f"{len(items)} items, {total / 1e6:.1f} MB {done}")


def litter(root: Path, *, foreign: bool = False) -> Iterator[Item]:
    """Yield what is not needed any more; nothing of a run that is at work, and no results.

    A finished run is read from its result and ranking; its checkpoint would only be of use to
    look at the supernet again.
    """
    from bench.report.summary import FOLDER, read_manifest
    from bench.runs import index, store
    from bench.runs import lock as runlock

    planned = set(read_manifest(root)["runs"])
    for name in index.names(root):
        folder = root / name
        if name == "slurm":
            # Not before all is done: jobs that wait in the queue read what they do from there.
            if planned <= {row["folder"] for row in index.rows(root) if row["status"] == "ok"}:
                yield Item("slurm logs", folder, _size(folder))
            continue
        if FOLDER.fullmatch(name) is None or runlock.alive(folder):
            continue
        if name not in planned:
            if foreign:
                yield Item("foreign", folder, _size(folder))
            continue
        for path in sorted(folder.glob(".*.*")):
            mine = any(path.name.startswith(f".{kept}.") for kept in store.FILES)
            if mine and time.time() - path.lstat().st_mtime > YOUNG:
                yield Item("temporary", path, _size(path))
        if (path := folder / store.CHECKPOINT).is_file() and store.done(folder):
            yield Item("checkpoint", path, _size(path))


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(inside.lstat().st_size for inside in path.rglob("*"))
    return path.lstat().st_size
