"""A folder of results: what is committed and sent to colleagues, and read like an output folder.

``ablation.json`` is the output folder's own. ``results.parquet`` has a row per run: ``folder``, ``result``
(JSON as `bench.runs.store` wrote it, checksum included, without the history) and ``history`` (JSON).
``scores/<folder>.parquet`` are the scores of its ranking, byte for byte; ``runs.csv`` is for people and
for ``git diff``. ``hashes.json`` is sealed and names the SHA-256 of them all. No page, no checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files import UnfitFileError, read, write_atomically
from bench.ranking.scores import read_scores
from bench.runs import store
from bench.runs.manifest import MANIFEST, read_manifest
from bench.written import finite

HASHES, RESULTS, TABLE, SCORES = "hashes.json", "results.parquet", "runs.csv", "scores"
COLUMNS = ("folder", "result", "history")
LARGEST = 64_000_000


def is_packed(root: Path) -> bool:
    """Say whether a folder is one of results."""
    return (root / HASHES).is_file() and (root / RESULTS).is_file()


@dataclass(frozen=True)
class Packed:
    """The results of a folder, by the names of their runs."""

    root: Path
    results: Mapping[str, dict[str, Any]]

    @classmethod
    def read(cls, root: Path) -> Packed:
        """Read a folder of results.

        A result whose checksum does not hold is left out, as a damaged one of an output folder is.

        Raises
        ------
        ValueError
            Where the table cannot be read.
        """
        try:
            frame = read_scores(root / RESULTS)
        except (UnfitFileError, OSError) as error:
            raise ValueError(f"{root / RESULTS}: cannot be read ({error})") from None
        if tuple(frame.columns) != COLUMNS:
            raise ValueError(f"{root / RESULTS}: expected the columns {', '.join(COLUMNS)}")
        found = {}
        for folder, text, history in frame.itertuples(index=False):
            try:
                result = {**json.loads(text), "history": json.loads(history)}
            except (TypeError, ValueError, RecursionError):
                continue
            sound = store.seal(result)["checksum"] == result.get("checksum")
            if sound and str(folder).endswith(str(result.get("digest", ""))):
                found[str(folder)] = result
        return cls(root, found)

    def scores(self, folder: str) -> Path:
        """Return where the scores of a run's ranking are, if it has any."""
        return self.root / SCORES / f"{folder}.parquet"


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Return run → result of an output folder or a folder of results, as its manifest names them."""
    named = read_manifest(root)["runs"]
    if is_packed(root):
        packed = Packed.read(root)
        return {name: packed.results[name] for name in named if name in packed.results}
    found = {name: store.read_result(root / name) for name in named}
    return {name: result for name, result in found.items() if result is not None}


def scores_of(root: Path, folder: str) -> Path:
    """Return where the scores of a run are, in either kind of folder."""
    inside = root / folder / store.RANKING
    return root / SCORES / f"{folder}.parquet" if is_packed(root) else inside


def write(
    to: Path,
    manifest: dict[str, Any],
    found: Mapping[str, dict[str, Any]],
    scores: Mapping[str, bytes],
    table: str,
) -> dict[str, int]:
    """Write a folder of results; return its files and their sizes in bytes.

    Parameters
    ----------
    found
        Run → result, of all kinds of endings.
    scores
        Run → the bytes of its ranking.
    table
        The runs as CSV.

    Raises
    ------
    ValueError
        Where the folder is there and is none of results.
    """
    others = [p.name for p in to.iterdir() if p.name != "README.md"] if to.is_dir() else []
    if (to.exists() and not to.is_dir()) or (others and not is_packed(to)):
        raise ValueError(f"{to}: is there already and no folder of results; name another")
    rows = [
        (
            name,
            _json({key: value for key, value in found[name].items() if key != "history"}),
            _json(found[name].get("history", [])),
        )
        for name in sorted(found)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype("string")
    content = {
        MANIFEST: json.dumps(manifest, indent=1, allow_nan=False).encode(),
        RESULTS: frame.to_parquet(index=False),
        TABLE: table.encode(),
        **{f"{SCORES}/{name}.parquet": scores[name] for name in sorted(scores)},
    }
    (to / SCORES).mkdir(parents=True, exist_ok=True)
    for old in (to / SCORES).glob("*.parquet"):
        if f"{SCORES}/{old.name}" not in content:
            old.unlink()
    for name, data in content.items():
        write_atomically(to / name, data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    store.write_json(to / HASHES, store.seal({"files": hashes}))
    return {name: len(data) for name, data in content.items()}


def damage(root: Path) -> list[str]:
    """Return what is not as its hash says, a line each; nothing: all files are whole.

    Raises
    ------
    ValueError
        Where it is no folder of results, or its list of hashes was changed.
    """
    if not is_packed(root):
        raise ValueError(
            f"{root}: no folder of results ({HASHES} is missing); `bench pack` writes one"
        )
    sealed = store.read_sealed(root / HASHES)
    named = (sealed or {}).get("files")
    if not isinstance(named, dict):
        raise ValueError(f"{root / HASHES}: was changed since it was written")
    lines = []
    for name, wanted in named.items():
        path = root / str(name)
        if ".." in Path(str(name)).parts or Path(str(name)).is_absolute():
            lines.append(f"{name}: lies elsewhere")
            continue
        try:
            whole = hashlib.sha256(read(path, LARGEST, links=False)).hexdigest() == wanted
        except FileNotFoundError:
            lines.append(f"{name}: is missing")
            continue
        except OSError as error:
            lines.append(f"{name}: cannot be read ({error})")
            continue
        if not whole:
            lines.append(f"{name}: was changed since it was packed")
    extra = {f"{SCORES}/{p.name}" for p in (root / SCORES).glob("*")} - set(named)
    return lines + [f"{name}: is not among the hashes" for name in sorted(extra)]


def _json(value: Any) -> str:
    return json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
