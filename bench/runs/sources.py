"""Which code made a result: hashes of the source of its members and of the engine.

A result is taken again as long as its settings are the same; that its code is still the same is
looked at here, and said where it is not.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from bench.contracts import plugins, registry
from bench.contracts.member import Member
from bench.contracts.registry import seam_of
from bench.runs import store
from bench.runs.index import rows

if TYPE_CHECKING:
    from bench.runs.spec import RunSpec

PACKAGE = Path(__file__).parents[1]
ENGINE = (
    "contracts", "search", "ranking", "kernels", "training", "batches.py", "devices.py",
    "statistics.py", "streams.py", "runs/run.py",
)  # fmt: skip
"""What numbers depend on besides members; how runs are started and stored is not in it."""
KINDS = (".py", ".cpp", ".h")
IMPORTED = re.compile(r"^\s*(?:from|import)\s+bench\.([\w.]+)(?:\s+import\s+(.+))?", re.MULTILINE)


def sources(spec: RunSpec) -> dict[str, str]:
    """Return ``engine`` and ``<seam>/<member>`` → hash of its source, for all members of a run."""
    named = sorted(
        {f"{seam_of(type(m))}/{m.name}" for m in members([spec.settings, *spec.variants])}
    )
    return {name: found for name in ("engine", *named) if (found := source(name))}


def identity(found: Mapping[str, str]) -> str:
    """Return one hash of `sources`."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def changed(found: Mapping[str, str]) -> list[str]:
    """Return what has other source now than when a result was made: ``skip_dropout.py``, ``engine``."""
    return [
        "the engine" if name == "engine" else f"{name.rpartition('/')[2]}.py"
        for name, then in found.items()
        if source(name) != then
    ]


def outdated(
    root: Path,
    names: Iterable[str] | None = None,
    found: Iterable[Mapping[str, Any]] | None = None,
) -> dict[str, list[str]]:
    """Return what changed → the runs of an output folder that were made before.

    Parameters
    ----------
    names
        Of the folders to look at; None: all.
    found
        `index.rows`, where they are known already.
    """
    wanted = None if names is None else set(names)
    made: dict[str, list[str]] = {}
    for row in rows(root) if found is None else found:
        if isinstance(row.get("source"), str) and (wanted is None or row["folder"] in wanted):
            made.setdefault(row["source"], []).append(row["folder"])
    differ: dict[str, list[str]] = {}
    for folders in made.values():  # of the same source: one says it for all
        result = store.read_result(root / folders[0]) or {}
        for name in changed((result.get("provenance") or {}).get("sources") or {}):
            differ.setdefault(name, []).extend(folders)
    return differ


def members(value: Any) -> Iterator[Member]:
    """Yield the members in a value, those inside members included."""
    if isinstance(value, Member):
        yield value
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from members(inner)


def outside(found: Mapping[str, str]) -> dict[str, str]:
    """Return those members of `sources` that are not of this package → the file or package they are in."""
    named = [name.partition("/") for name in found if name != "engine"]
    modules = {f"{seam}/{member}": registry.located(seam, member) for seam, _, member in named}
    return {name: plugins.told(module) for name, module in modules.items() if module is not None}


@functools.cache
def source(name: str) -> str:
    """Return the hash of the engine's source or of a member's as it is now; empty: it is gone."""
    if name == "engine":
        return _hash(path for part in ENGINE for path in _files(PACKAGE / part))
    seam, _, member = name.partition("/")
    if seam not in registry.SEAMS or not member.isidentifier():
        return ""
    for own in (PACKAGE / seam / f"{member}.py", PACKAGE / seam / member / "__init__.py"):
        if own.is_file():  # found without loading its seam, which may take seconds
            return _hash(_with_helpers(own, seam))
    try:
        module = registry.located(seam, member)
        return "" if module is None else _hash(plugins.files(module))
    except (ImportError, KeyError, ValueError, OSError):
        return ""


@functools.cache
def package() -> str:
    """Return the hash of all of the package's files that code or results come from."""
    kinds = (*KINDS, ".yaml", ".html", ".css", ".js")
    return _hash(p for p in PACKAGE.rglob("*") if p.suffix in kinds)


def _with_helpers(path: Path, seam: str) -> set[Path]:
    """Return a member's files and those that they import from their own seam."""
    todo, found = _files(path.parent if path.name == "__init__.py" else path), set[Path]()
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for module, names in IMPORTED.findall(path.read_text(encoding="utf-8", errors="replace")):
            if module.split(".")[0] != seam:
                continue
            at = PACKAGE.joinpath(*module.split("."))
            words = re.findall(r"\w+", names.partition(" as ")[0])
            near = [at.with_suffix(".py"), *(at / f"{word}.py" for word in words)]
            todo += [p for p in near if p.is_file()]
    return found


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix in KINDS]


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        at = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else Path(path.name)
        content = path.read_bytes()
        digest.update(f"{at.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
