"""A folder of results: what is committed and sent to colleagues, and read like an output folder.

``ablation.json`` is the output folder's own. ``results.parquet`` has a row per run: ``folder``, ``result``
(JSON as `bench.runs.store` wrote it, checksum included, without the history) and ``history`` (JSON).
``scores/<folder>.parquet`` are the scores of its ranking, byte for byte; ``runs.csv`` is for people and
for ``git diff``. ``hashes.json`` is sealed and names the SHA-256 of them all. No page, no checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench import shapes
from bench.files import UnfitFileError, read, write_atomically
from bench.ranking.scores import read_table
from bench.runs import store
from bench.runs.manifest import MANIFEST, read_manifest
from bench.runs.shapes import FOLDER, Hashes, Result
from bench.written import finite

HASHES, RESULTS, TABLE, SCORES = "hashes.json", "results.parquet", "runs.csv", "scores"
INSIDE = re.compile(rf"[a-z]+\.(json|parquet|csv)|{SCORES}/{FOLDER.pattern}\.parquet")
"""What the hashes may be of."""
COLUMNS = ("folder", "result", "history")
LARGEST = 64_000_000


def is_packed(root: Path) -> bool:
    """Say whether a folder is one of results."""
    return (root / HASHES).is_file() and (root / RESULTS).is_file()


@dataclass(frozen=True)
class Packed:
    """The results of a folder, by the names of their runs.

    Attributes
    ----------
    problems
        Run → what is wrong with its result, of those that are not to be believed.
    """

    root: Path
    results: Mapping[str, dict[str, Any]]
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Packed:
        """Read a folder of results.

        A result whose checksum does not hold, that is of other types than results are, or whose
        scores were changed is left out, as a damaged one of an output folder is.

        Raises
        ------
        ValueError
            Where the table cannot be read.
        """
        try:
            frame = read_table(root / RESULTS)
        except (UnfitFileError, OSError) as error:
            text = str(error).removeprefix(f"{root / RESULTS}: ")
            raise ValueError(f"{root / RESULTS}: cannot be read ({text})") from None
        if tuple(frame.columns) != COLUMNS:
            raise ValueError(f"{root / RESULTS}: expected the columns {', '.join(COLUMNS)}")
        found, problems = dict[str, dict[str, Any]](), dict[str, str]()
        for folder, text, history in frame.itertuples(index=False):
            if not isinstance(folder, str) or not FOLDER.fullmatch(folder) or folder in found:
                continue
            try:
                found[folder] = _result(root, folder, text, history)
            except UnfitFileError as error:
                problems[folder] = f"its result is damaged ({error})"
        return cls(root, found, problems)

    def scores(self, folder: str) -> Path:
        """Return where the scores of a run's ranking are, if it has any."""
        return self.root / SCORES / f"{folder}.parquet"


def _result(root: Path, folder: str, text: Any, history: Any) -> dict[str, Any]:
    """Return a packed result; raises UnfitFileError, in one line, where it is not to be believed."""
    where = f"{RESULTS}: {folder}"
    try:
        result = {**json.loads(text), "history": json.loads(history)}
        sound = store.seal(result)["checksum"] == result.get("checksum")
    except (TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise UnfitFileError(f"{where}: was changed, or is not one")
    result = shapes.plain(result, where)
    assert isinstance(result, dict)
    shapes.check(Result, result, where)
    if not folder.endswith(f"-{result.get('digest')}"):
        raise UnfitFileError(f"{where}: digest: of another run")
    wanted = result.get("files", {}).get(store.RANKING)
    name = f"{SCORES}/{folder}.parquet"
    if wanted is not None and _hash(root / name) != wanted:
        raise UnfitFileError(f"{name}: missing, or was changed")
    return result


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(read(path, LARGEST, links=False)).hexdigest()
    except (FileNotFoundError, UnfitFileError):
        return None


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
    if sealed is None:
        raise ValueError(f"{root / HASHES}: was changed since it was written")
    sealed = shapes.plain(sealed, root / HASHES)
    shapes.check(Hashes, sealed, root / HASHES)
    named, lines = sealed["files"], []
    for name, wanted in named.items():
        path = root / name
        if not INSIDE.fullmatch(name):
            lines.append(f"{name[:80]}: is no file of a folder of results")
            continue
        try:
            whole = hashlib.sha256(read(path, LARGEST, links=False)).hexdigest() == wanted
        except FileNotFoundError:
            lines.append(f"{name}: is missing")
            continue
        except (OSError, UnfitFileError) as error:
            lines.append(f"{name}: cannot be read ({error})")
            continue
        if not whole:
            lines.append(f"{name}: was changed since it was packed")
    extra = {f"{SCORES}/{p.name}" for p in (root / SCORES).glob("*")} - set(named)
    return lines + [f"{name}: is not among the hashes" for name in sorted(extra)]


def _json(value: Any) -> str:
    return json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
