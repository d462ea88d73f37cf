"""`bench gc`: what an output folder could do without; deletes only when told to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench.names import shown

GONE = ".gone."
"""In the name of a folder that is being deleted."""
WHOLE = ("slurm logs", "left over")
"""Folders that no run writes to."""
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
    if delete:
        items = [item for item in items if remove(item)]
    total = sum(item.size for item in items)
    if as_json:
        rows = [{"kind": i.kind, "path": str(i.path), "bytes": i.size} for i in items]
        print(json.dumps({"deleted": delete, "bytes": total, "items": rows}))
        return
    for item in items:
        print(f"{item.kind:11} {item.size / 1e6:8.1f} MB  {shown(str(item.path))}")
    done = "deleted" if delete else "could go; delete with --delete"
    print(f"{len(items)} items, {total / 1e6:.1f} MB {done}")


def remove(item: Item) -> bool:
    """Delete an item, unless somebody took up its run since it was listed; say whether it went."""
    from bench.runs import lock as runlock
    from bench.runs import store
    from bench.runs.manifest import read_manifest

    path = item.path
    try:
        if item.kind in WHOLE:
            shutil.rmtree(path)
            return True
        folder = path if item.kind == "foreign" else path.parent
        # Whoever waits for the lock meanwhile sees that it is gone, and makes the folder again.
        with runlock.hold(folder, wait=False) as mine:
            if not mine:
                return False
            if item.kind == "foreign":
                if path.name in read_manifest(path.parent)["runs"]:
                    return False
                gone = path.with_name(f".{path.name}{GONE}{os.getpid()}")
                os.replace(path, gone)
            elif item.kind == "temporary" or store.done(folder):
                path.unlink(missing_ok=True)
                return True
            else:
                return False
        shutil.rmtree(gone)
        return True
    except OSError as error:
        print(f"{shown(str(path))}: {error.strerror}", file=sys.stderr)
        return False


def litter(root: Path, *, foreign: bool = False) -> Iterator[Item]:
    """Yield what is not needed any more; nothing of a run that is at work, and no results.

    A finished run is read from its result and ranking; its checkpoint would only be of use to
    look at the supernet again.
    """
    from bench.runs import index, store
    from bench.runs import lock as runlock
    from bench.runs.manifest import FOLDER, read_manifest

    planned = set(read_manifest(root)["runs"])
    for name in index.names(root):
        folder = root / name
        if name == "slurm":
            # Not before all is done: jobs that wait in the queue read what they do from there.
            if planned <= {row["folder"] for row in index.rows(root) if row["status"] == "ok"}:
                yield Item("slurm logs", folder, _size(folder))
            continue
        if GONE in name:
            yield Item("left over", folder, _size(folder))
            continue
        if FOLDER.fullmatch(name) is None or runlock.alive(folder):
            continue
        if name not in planned:
            if foreign:
                yield Item("foreign", folder, _size(folder))
            continue
        for path in sorted(folder.glob(".*.*")):
            mine = any(path.name.startswith(f".{kept}.") for kept in store.FILES)
            # Not by the sign: a clock that was set back makes files of the future.
            if mine and abs(time.time() - path.lstat().st_mtime) > YOUNG:
                yield Item("temporary", path, _size(path))
        with contextlib.suppress(OSError):  # what cannot be read is not known to be finished
            for kind, name in (("checkpoint", store.CHECKPOINT), ("refused", store.REFUSED)):
                if (path := folder / name).is_file() and store.done(folder):
                    yield Item(kind, path, _size(path))


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(inside.lstat().st_size for inside in path.rglob("*"))
    return path.lstat().st_size
