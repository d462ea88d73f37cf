"""Run folders: the result is written last, the index is rebuilt from them.

A run is a folder ``<label>-seed<n>-<digest>`` with ``spec.json``, ``progress.json`` (rewritten while
it runs), ``checkpoint.pt``, ``ranking.parquet`` and, when all else is there, ``result.json``. What
has no result is disposable; what has one of status ``ok`` is done. What was changed since it was
written is detected and not used: JSON by its checksum, other files by the hash in the result.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import shapes
from bench.files import UnfitFileError, read, write_atomically
from bench.runs.lock import LOCK
from bench.runs.shapes import PROGRESS as FIELDS
from bench.runs.shapes import Result
from bench.written import finite

if TYPE_CHECKING:
    from bench.runs.spec import RunSpec

RESULT, SPEC, PROGRESS, CHECKPOINT, RANKING = (
    "result.json",
    "spec.json",
    "progress.json",
    "checkpoint.pt",
    "ranking.parquet",
)

REFUSED = "refused.pt"
"""A checkpoint that is sound and fits nothing that was built; kept for somebody to look at."""
FILES = (RESULT, SPEC, PROGRESS, CHECKPOINT, RANKING)

LARGEST = 64_000_000
"""Bytes of a file of a run, its checkpoint aside: a result of thousands of epochs has a tenth of it."""


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write JSON atomically; NaN and infinities become null, which every reader understands."""
    write_atomically(path, _text(content), durable=durable)


def _text(content: Any) -> bytes:
    return json.dumps(finite(content), indent=1, sort_keys=False, allow_nan=False).encode()


def seal(result: dict[str, Any]) -> dict[str, Any]:
    """Add the checksum by which a later reader knows that nothing was changed."""
    content = finite({key: value for key, value in result.items() if key != "checksum"})
    return {**content, "checksum": _checksum(content)}


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return a run's result; None where there is none, or it or a file that it names is damaged.

    Parameters
    ----------
    folder
        Of a run.

    Returns
    -------
    dict[str, Any] | None
        What ``result.json`` holds; `bench.runs.shapes.Result` says which keys there are.

    Raises
    ------
    OSError
        When it is there and cannot be read, which does not say that it is damaged.
    """
    try:
        return _result(folder)
    except (FileNotFoundError, UnfitFileError):
        return None


def problem(folder: Path) -> str:
    """Say what is wrong with a run's result; empty where it is sound, or there is none."""
    try:
        _result(folder)
    except FileNotFoundError:
        pass
    except UnfitFileError as error:
        return f"its result is damaged ({str(error).removeprefix(f'{folder}{os.sep}')})"
    except OSError as error:
        return f"its result cannot be read ({error.strerror})"
    return ""


def _result(folder: Path) -> dict[str, Any]:
    """Return a run's result; raises UnfitFileError, in one line, where it is not to be believed."""
    path = folder / RESULT
    text = read_regular(path)
    if (result := _sealed(text)) is None:
        raise UnfitFileError(f"{path}: was changed, or is not one")
    result = shapes.plain(result, path)
    assert isinstance(result, dict)
    shapes.check(Result, result, path)
    if "-seed" in folder.name and not folder.name.endswith(str(result.get("digest", ""))):
        raise UnfitFileError(f"{path}: digest: of another run")
    for name, digest in result.get("files", {}).items():
        if _sha256(folder / name) != digest:
            raise UnfitFileError(f"{folder / name}: missing, or was changed")
    return result


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return JSON that `seal` and `write_json` wrote; None where any byte of it has changed.

    Raises
    ------
    OSError
        When it is there and cannot be read.
    """
    try:
        return _sealed(read_regular(path))
    except FileNotFoundError:
        return None


def _sealed(text: bytes) -> dict[str, Any] | None:
    """Return JSON that `seal` and `write_json` wrote; None where any byte of it has changed."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or _checksum(content) != content.get("checksum"):
            return None
        # The checksum is of the content: 1e-3 and 1E-3 are the same to it, but not to us.
        return content if _as_written(text, content) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _checksum(content: dict[str, Any]) -> str:
    """Hash content; raises ValueError where there is anything in it that JSON has no word for."""
    own = {key: value for key, value in content.items() if key != "checksum"}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_written(text: bytes, content: Any) -> bool:
    """Say whether `_text` would write content so, to the byte.

    It is not asked: what indents is not compiled and takes ten times as long as all else.
    """
    depth, inside = 0, list[bytes]()
    for line in text.split(b"\n"):  # in a string it would be written as an escape
        own = line.lstrip(b" ")
        depth -= own[:1] in (b"]", b"}")
        if not own or len(line) - len(own) != depth:
            return False
        depth += own[-1:] in (b"[", b"{")
        last = own.removesuffix(b",")[-2:]
        if last[-1:] in (b"]", b"}") and last not in (b"]", b"}", b"[]", b"{}"):
            return False  # what is not empty ends on a line of its own
        inside.append(own + b"\n" if own[-1:] == b"," else own)
    return b"".join(inside) == json.dumps(content, separators=(",\n", ": ")).encode()


def read_regular(path: Path) -> bytes:
    """Read a file of a run's folder; neither it nor the folder may be a link.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    UnfitFileError
        Where something else stands in its place.
    OSError
        When it is there and cannot be read; names the file.
    """
    try:
        if path.parent.is_symlink():
            raise UnfitFileError(f"{path.parent}: is a link")
        return read(path, LARGEST, links=False)
    except NotADirectoryError:
        raise UnfitFileError(f"{path.parent}: is not a folder") from None
    except OSError as error:  # where it fails in reading, it does not say of what
        raise OSError(error.errno, error.strerror, str(path)) from None


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_regular(path)).hexdigest()
    except (FileNotFoundError, UnfitFileError):
        return None


def done(folder: Path) -> bool:
    """Say whether the run has finished well; failures are never taken for it."""
    result = read_result(folder)
    return result is not None and result.get("status") == "ok"


def clear(folder: Path, keep: Container[str] = ()) -> None:
    """Empty a run's folder, but for what is named and the lock, which the caller holds."""
    for path in folder.iterdir():
        if path.name == LOCK or path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_progress(folder: Path) -> dict[str, Any]:
    """Return the last progress that a run reported; empty where there is none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        progress = json.loads(read_regular(folder / PROGRESS))
        return shapes.fitting(FIELDS, shapes.plain(progress, folder / PROGRESS))
    return {}


def write_spec(folder: Path, spec: RunSpec) -> None:
    """Write what a run is to do, unless that is what stands there.

    It is not waited for: after a power cut the next command writes it again.
    """
    content = seal(spec.model_dump(mode="json"))
    try:
        known = read_sealed(folder / SPEC)
    except UnfitFileError:  # a link in its place is replaced, not followed
        if folder.is_symlink() or not folder.is_dir():
            raise
        known = None
    if known != content:
        write_json(folder / SPEC, content, durable=False)


def read_spec(folder: Path, *, own: bool = False) -> RunSpec:
    """Return what a run was to do.

    Parameters
    ----------
    folder
        Of a run.
    own
        Whether this program has just written it; what others may have written downloads and executes nothing
        (`RunSpec.foreign`).

    Returns
    -------
    RunSpec
        The specification, whose digest is the one in the folder's name.

    Raises
    ------
    ValueError
        One line, where it is missing, damaged, or another run's than the folder's name says.
    OSError
        When it is there and cannot be read.
    """
    from pydantic import ValidationError

    from bench.ablation.mistakes import first_error  # late: needs torch, as specifications do
    from bench.runs.spec import SCHEMA, RunSpec  # late: whoever only looks at results needs none

    content = read_sealed(folder / SPEC)
    if content is None:
        raise ValueError(f"{folder / SPEC}: missing or damaged; `python -m bench run` writes it")
    if (schema := content.get("code")) != SCHEMA:
        raise ValueError(
            f"{folder / SPEC}: of another version of bench (schema {schema}, here {SCHEMA}): its "
            "result can be read and shown; to go on from it, run it again"
        )
    try:
        spec = RunSpec.model_validate({k: v for k, v in content.items() if k != "checksum"})
    except ValidationError as error:
        at, message = first_error(error, RunSpec, content)
        raise ValueError(f"{folder / SPEC}: {shapes.dotted(tuple(at))}: {message}") from None
    if "-seed" in folder.name and folder.name != spec.folder:
        raise ValueError(f"{folder / SPEC}: belongs to {spec.folder}")
    return spec if own else spec.foreign(folder / SPEC)


def confined(root: Path, spec: RunSpec) -> Path:
    """Return a run's folder, which must lie in the output folder itself.

    Raises
    ------
    ValueError
        Where its name leads out of the output folder, or a link stands in its place.
    """
    folder = root / spec.folder
    if Path(spec.folder).name != spec.folder or folder.resolve() != root.resolve() / spec.folder:
        raise ValueError(f"{folder}: leads out of {root}; a run's folder must lie in it")
    return folder


def folders(root: Path) -> Iterator[Path]:
    """Yield the run folders below an output folder, sorted by name; links are not followed."""
    yield from sorted(p.parent for p in root.glob(f"[!.]*/{SPEC}") if not p.parent.is_symlink())


def reuse(source: Path, wanted: dict[Path, RunSpec]) -> list[Path]:
    """Copy finished runs of the same identity from another output folder.

    Parameters
    ----------
    wanted
        Where a run should be → the run; what is there already is left alone.

    Returns
    -------
    list
        The folders that were filled.
    """
    by_digest = {spec.digest: (target, spec) for target, spec in wanted.items()}
    filled = []
    for found in folders(source):
        target, spec = by_digest.get(found.name.rpartition("-")[2], (None, None))
        result = read_result(found)
        if (
            target is None
            or spec is None
            or target.exists()
            or (result or {}).get("status") != "ok"
        ):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".reuse."))
        for name in FILES:
            if (found / name).is_file() and not (found / name).is_symlink():
                shutil.copy2(found / name, draft / name)
        write_spec(draft, spec)  # under the name that it has here
        write_json(draft / RESULT, seal({**(result or {}), "label": spec.label}))
        os.chmod(draft, 0o755)
        os.replace(draft, target)
        filled.append(target)
    return filled


def results(root: Path) -> list[dict[str, Any]]:
    """Return all results below an output folder, failures included."""
    found = (read_result(folder) for folder in folders(root))
    return [result for result in found if result is not None]
