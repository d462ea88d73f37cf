"""Importing official NAS-Bench-201 and NATS-Bench files, in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bench
from bench.contracts.truth import TruthError
from bench.truth._official_files import kind
from bench.truth._unpickle import one_line

WORKER = "bench.truth._import_worker"


def import_official(path: Path, out: Path) -> dict[str, Any]:
    """Turn an official benchmark file into a table that the truth `table` reads.

    The file is read in a subprocess (it needs tens of gigabytes, and its API prints and touches
    the global random stream), with an allow-list: nothing that the file says is executed.

    Parameters
    ----------
    path
        ``NAS-Bench-201-v1_0/v1_1 .pth``, ``NATS-tss-v1_0 .pickle.pbz2``, or NATS-Bench's unpacked
        ``-simple`` folder.
    out
        The parquet file to write; replaced only when everything went well.

    Returns
    -------
    dict
        ``output``, ``sha256`` of the source, ``api``, ``cells``, ``trials`` and ``measured``: for
        every data set and budget its trials, cells and cells per number of seeds.

    Raises
    ------
    TruthError
        When the file is missing, damaged, hostile, or not such a file; one line.
    """
    if not path.exists():
        raise TruthError(f"{path}: no such file")
    if out.suffix != ".parquet":
        raise TruthError(
            f"{out}: the table is a parquet file; name it {out.with_suffix('.parquet')}"
        )
    kind(path, str(path))
    root = str(Path(bench.__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", WORKER, str(path.absolute()), str(out.absolute()), str(path)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode < 0:
        hint = ", probably for lack of memory" if done.returncode == -9 else ""
        raise TruthError(f"{path}: the import was killed by signal {-done.returncode}{hint}")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TruthError(f"{path}: the import failed: {last:.200}") from None
    if "error" in answer:
        raise TruthError(str(answer["error"]))
    return {**answer, "output": str(out)}


def api(package: str, module: str, attribute: str) -> tuple[Any, str]:
    """Import a benchmark's package; returns its module and its version in words.

    Raises
    ------
    TruthError
        When it is not installed or does not import; names the command that mends it.
    """
    command = f"run: python -m pip install {package}"
    try:
        version = importlib.metadata.version(package)
        loaded = importlib.import_module(module)
    except (importlib.metadata.PackageNotFoundError, ImportError) as error:
        raise TruthError(
            f"this file needs the package {package} ({one_line(error, 80)}); {command}"
        ) from None
    said = getattr(loaded, attribute, "")
    return loaded, f"{package} {version} (API {said[-1] if isinstance(said, list) else said})"
