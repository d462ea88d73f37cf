"""Run folders: the result is written last, the index is rebuilt from them.

A run is a folder ``<label>-seed<n>-<digest>`` with ``spec.json``, ``progress.json`` (rewritten while
it runs), ``checkpoint.pt``, ``ranking.parquet`` and, when all else is there, ``result.json``. What
has no result is disposable; what has one of status ``ok`` is done. What was changed since it was
written is detected and not used: JSON by its checksum, other files by the hash in the result.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.runs.checkpoint import write_atomically
from bench.runs.spec import RunSpec

RESULT, SPEC, PROGRESS, CHECKPOINT, RANKING = (
    "result.json", "spec.json", "progress.json", "checkpoint.pt", "ranking.parquet",
)  # fmt: skip

FILES = (RESULT, SPEC, PROGRESS, CHECKPOINT, RANKING)
FULL = {errno.ENOSPC, errno.EDQUOT}
"""What the system says when nothing more can be written: a run stops and can go on later."""


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN and infinities become null, which every reader understands."""
    write_atomically(path, _text(content))


def _text(content: Any) -> bytes:
    return json.dumps(finite(content), indent=1, sort_keys=False, allow_nan=False).encode()


def finite(value: Any) -> Any:
    """Return plain content with NaN and infinities as None, as JSON readers want it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def seal(result: dict[str, Any]) -> dict[str, Any]:
    """Add the checksum by which a later reader knows that nothing was changed."""
    content = finite({key: value for key, value in result.items() if key != "checksum"})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return a run's result; None where there is none, or it or a file that it names is damaged."""
    result = read_sealed(folder / RESULT)
    if result is None:
        return None
    if "-seed" in folder.name and not folder.name.endswith(str(result.get("digest", ""))):
        return None  # another run's
    named = result.get("files", {})
    sound = isinstance(named, dict) and all(
        Path(name).name == name and _sha256(folder / name) == digest
        for name, digest in named.items()
    )
    return result if sound else None


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return JSON that `seal` and `write_json` wrote; None where any byte of it has changed."""
    try:
        text = path.read_bytes()
        content = json.loads(text)
        sound = isinstance(content, dict) and seal(content)["checksum"] == content.get("checksum")
        # The checksum is of the content: 1e-3 and 1E-3 are the same to it, but not to us.
        return content if sound and text == _text(content) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def done(folder: Path) -> bool:
    """Say whether the run has finished well; failures are never taken for it."""
    result = read_result(folder)
    return result is not None and result.get("status") == "ok"


def read_progress(folder: Path) -> dict[str, Any]:
    """Return the last progress that a run reported; empty where there is none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        progress = json.loads((folder / PROGRESS).read_bytes())
        if isinstance(progress, dict):
            return progress
    return {}


def write_spec(folder: Path, spec: RunSpec) -> None:
    """Write what a run is to do."""
    write_json(folder / SPEC, seal(spec.model_dump(mode="json")))


def read_spec(folder: Path) -> RunSpec:
    """Return what a run was to do.

    Raises
    ------
    ValueError
        One line, where it is missing, damaged, or another run's than the folder's name says.
    """
    content = read_sealed(folder / SPEC)
    if content is None:
        raise ValueError(f"{folder / SPEC}: missing or damaged; `python -m bench run` writes it")
    spec = RunSpec.model_validate({k: v for k, v in content.items() if k != "checksum"})
    if "-seed" in folder.name and folder.name != spec.folder:
        raise ValueError(f"{folder / SPEC}: belongs to {spec.folder}")
    return spec


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
    """Yield the run folders below an output folder, sorted by name."""
    yield from sorted(p.parent for p in root.glob(f"*/{SPEC}"))


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
