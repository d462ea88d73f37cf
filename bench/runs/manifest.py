"""What an output folder was made for, read: the union of all that one ablation planned there.

``ablation.json`` is written before anything runs, sealed, and says when the contrast was stated and
what became of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import shapes
from bench.files import read_json
from bench.runs import store
from bench.runs.shapes import FOLDER, Manifest

__all__ = ["FOLDER", "MANIFEST", "read_manifest", "statement"]

MANIFEST = "ablation.json"
LARGEST = 64_000_000
"""Bytes; of ten thousand runs it has a million."""
NEEDED = {"question", "contrast", "arms", "runs"}


def read_manifest(root: Path) -> dict[str, Any]:
    """Read ``ablation.json``; raises ValueError with one line where it is not what it should be.

    One without a checksum is of an older version: when its contrast was stated is not known.

    Parameters
    ----------
    root
        An output folder of ``bench run``.

    Returns
    -------
    dict[str, Any]
        ``name``, ``question``, ``contrast``, ``arms``, ``runs`` (folder names), ``seeds``, ``command`` and when
        the contrast was stated; `bench.runs.shapes.Manifest` says all keys.

    Raises
    ------
    ValueError
        One line, where it is missing or not what it should be.
    """
    path = root / MANIFEST
    try:
        manifest = read_json(path, LARGEST, links=False)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: {_no_folder(root)}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(manifest, dict) or not set(manifest) >= NEEDED:
        raise ValueError(f"{path}: expected question, contrast, arms and runs")
    if "checksum" not in manifest:
        manifest.pop("stated", None)  # whoever wrote it here, it was not sealed
    elif not _sealed(manifest):
        raise ValueError(
            f"{path}: was changed since it was written; the same `bench run` writes it anew"
        )
    manifest = shapes.plain(manifest, path)
    shapes.check(Manifest, manifest, path)
    return {
        "name": root.name,
        "profile": "",
        "command": "",
        "commands": [],
        "seeds": [],
        **manifest,
    }


def _sealed(manifest: dict[str, Any]) -> bool:
    try:
        return bool(store.seal(manifest)["checksum"] == manifest["checksum"])
    except RecursionError:
        return False


def _no_folder(root: Path) -> str:
    """Say what a folder without a manifest is, and how it becomes one that can be read."""
    if not (root / "runs.csv").is_file():
        return f"{root} is no output folder of `bench run`"
    readme = next((f for f in (root / "README.md", root.parent / "README.md") if f.is_file()), None)
    where = f"; {readme} has the `bench run` that makes them" if readme else ""
    return f"{root} keeps tables of runs (runs.csv), not the runs{where}"


def statement(manifest: dict[str, Any]) -> tuple[str, bool]:
    """Say when the contrast was stated, and whether that was before any result was known."""
    stated = manifest.get("stated")
    if not isinstance(stated, dict) or not isinstance(stated.get("time"), str):
        return "when it was stated is not known", True
    first, late = f"stated on {_day(stated['time'])}", int(stated.get("finished") or 0)
    if late:
        return f"{first}, when {_runs(late)} had already finished", False
    changes = [c for c in manifest.get("changes", []) if c.get("finished") and c.get("time")]
    if not changes:
        return f"{first}, before the runs", True
    last, contrast = changes[-1], stated.get("contrast")
    if contrast is None or contrast == manifest["contrast"]:
        was = "its criteria were others"
    else:
        was = f"it was {contrast['metric']} of {contrast['of']} against {contrast['against']}"
        was += f", expected: {contrast['expect']}" if contrast.get("expect") else ""
    when = f"changed on {_day(last['time'])}, when {_runs(int(last['finished']))} had finished"
    return f"{first}, before the runs, and {when}; at first {was}", False


def _day(time: str) -> str:
    return time[:16].replace("T", " ") + " UTC"


def _runs(number: int) -> str:
    return f"{number} run" + ("" if number == 1 else "s")
