"""The index of an output folder: one row per result, read from a cache that folders overrule.

Parsing 10,000 results takes half a minute; looking at their time, size and inode takes a tenth of a
second. ``.index.json`` keeps the rows and what the files looked like; a row is used only while they
still look so. It may be deleted at any time, and of two that write it at once either is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from bench import shapes
from bench.files import read, write_atomically
from bench.runs import store
from bench.runs.shapes import row

CACHE = ".index.json"
SCHEMA = 1
LARGEST = 1 << 30
"""Bytes; a row of one result has a thousand."""
Looks = list[int]
"""Time [ns], size and inode of ``result.json``, then of ``ranking.parquet`` (zeros: not there)."""


def rows(root: Path, *, rebuild: bool = False) -> list[dict[str, Any]]:
    """Return the plain values of every sound result, sorted by folder.

    Parameters
    ----------
    rebuild
        Read every result again, whatever the cache says.
    """
    known = {} if rebuild else _read(root)
    found: dict[str, tuple[Looks, dict[str, Any] | None]] = {}
    changed = rebuild
    for name in names(root):
        looks = _looks(root / name)
        if looks is None:
            continue
        if name in known and known[name][0] == looks:
            found[name] = known[name]
            continue
        try:
            found[name] = (looks, _row(root / name))
        except OSError:  # may be read another time; nothing is known of it until then
            continue
        changed = True
    if changed or known.keys() != found.keys():
        _write(root, found)
    return [{**own, "folder": name} for name, (_, own) in found.items() if own is not None]


def names(root: Path) -> list[str]:
    """Return the names of the folders in an output folder, sorted; links are not followed."""
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _looks(folder: Path) -> Looks | None:
    try:
        result = os.lstat(folder / store.RESULT)
    except OSError:
        return None
    looks = [result.st_mtime_ns, result.st_size, result.st_ino]
    try:
        ranking = os.lstat(folder / store.RANKING)
    except OSError:
        return [*looks, 0, 0, 0]
    return [*looks, ranking.st_mtime_ns, ranking.st_size, ranking.st_ino]


def _row(folder: Path) -> dict[str, Any] | None:
    result = store.read_result(folder)
    if result is None:
        return None
    return {key: value for key, value in result.items() if not isinstance(value, list | dict)}


def _read(root: Path) -> dict[str, tuple[Looks, dict[str, Any] | None]]:
    """Return the cache; empty where there is none, or it is damaged or of another time."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        digest, _, content = read(root / CACHE, LARGEST, links=False).partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() == digest:
            cached = json.loads(content)
            # Only then there may be something in it that a terminal would obey.
            odd = b"\\" in content or not content.isascii()
            if cached["schema"] == SCHEMA:
                return {
                    name: (looks, shapes.plain(own, CACHE) if odd else own)
                    for name, (looks, own) in cached["rows"].items()
                    if own is None or row(own)
                }
    return {}


def _write(root: Path, found: dict[str, tuple[Looks, dict[str, Any] | None]]) -> None:
    content = json.dumps({"schema": SCHEMA, "rows": found}, allow_nan=False).encode()
    digest = hashlib.sha256(content).hexdigest().encode()
    # A folder that cannot be written (full, read-only) can still be read.
    with contextlib.suppress(OSError):
        write_atomically(root / CACHE, digest + b"\n" + content)
