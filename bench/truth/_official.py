"""Importing official NAS-Bench-201 and NATS-Bench files, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench
from bench.contracts.truth import TruthError
from bench.truth._official_files import kind

WORKER = "bench.truth._import_worker"


def _silent(doing: str, done: int, of: int) -> None: ...


def import_official(
    path: Path, out: Path, said: Callable[[str, int, int], None] = _silent
) -> dict[str, Any]:
    """Turn an official benchmark file into a table that the truth `table` reads.

    The file is read in a subprocess, whose memory and time are bounded, with an allow-list of
    plain containers and numbers: nothing that the file says is executed, and the benchmark's own
    packages are not needed.

    Parameters
    ----------
    path
        ``NAS-Bench-201-v1_0/v1_1 .pth`` or its ``archive`` folder, ``NATS-tss-v1_0 .pickle.pbz2``
        or its unpacked ``-simple`` folder.
    out
        The parquet file to write; replaced only when everything went well.
    said
        Called now and then: what is being done, how much of it, of how much.

    Returns
    -------
    dict
        ``output``, ``sha256`` of the source, ``benchmark``, ``cells``, ``trials``, ``values`` (measured ones);
        ``measured``: for every data set and budget its trials, cells and cells per number of
        seeds; ``notes``: what is not as published.

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
    answer, last = None, "it said nothing"
    with subprocess.Popen(
        [sys.executable, "-m", WORKER, str(path.absolute()), str(out.absolute()), str(path)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as worker:
        try:
            for line in worker.stdout or ():
                try:
                    answer = json.loads(line)
                    if "doing" in answer:
                        said(answer["doing"], answer["done"], answer["of"])
                except (ValueError, TypeError):
                    last = line.strip() or last
        except BaseException:  # Ctrl-C: it is of no use to go on
            worker.kill()
            raise
    if worker.returncode < 0:
        why = {-9: ", probably for lack of memory", -24: ": it took far longer than any such file"}
        raise TruthError(
            f"{path}: the import was ended by signal {-worker.returncode}"
            f"{why.get(worker.returncode, '')}"
        )
    if not isinstance(answer, dict) or "doing" in answer:
        raise TruthError(f"{path}: the import failed: {last:.200}")
    if "error" in answer:
        raise TruthError(str(answer["error"]))
    return {**answer, "output": str(out)}
