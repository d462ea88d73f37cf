"""The page over several ablations: the answer of each, and the way to its page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.files import write_atomically
from bench.names import shown
from bench.report.page import environment
from bench.report.summary import Summary
from bench.runs.manifest import MANIFEST


def ablations(folder: Path) -> list[Path]:
    """Return the output folders directly below a folder, sorted by name."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def write_index(entries: Sequence[tuple[Path, Summary | str]], path: Path) -> Path:
    """Write the index over several ablations.

    Parameters
    ----------
    entries
        The page of each ablation and its summary, or the message of why there is none.
    """
    rows = []
    for page, found in entries:
        # Quoted, and with a folder named first: a name may hold `%`, `#`, or look like a scheme.
        link = "./" + quote(Path(os.path.relpath(page, path.parent)).as_posix())
        row: dict[str, Any] = {"link": link, "name": shown(page.parent.name)}
        if isinstance(found, str):
            rows.append(row | {"problem": found})
            continue
        ok = int((found.runs["status"] == "ok").sum())
        rows.append(
            row
            | {
                "problem": "",
                "question": found.manifest["question"],
                "verdict": found.verdict,
                "profile": found.manifest["profile"],
                "runs": f"{ok} of {len(found.runs)}",
            }
        )
    text = environment().get_template("index.html").render(rows=rows)
    write_atomically(path, text.encode())
    return path
