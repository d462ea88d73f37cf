"""Members to begin with: a file for every seam, ``<seam>.txt``, that keeps the seam's promises as it is.

``$name`` stands for the member's name and ``$kind`` for its class.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

HERE = Path(__file__).parent


def seams() -> list[str]:
    """Return the seams that there is a beginning for."""
    return sorted(path.stem for path in HERE.glob("*.txt"))


def member(seam: str, name: str) -> str:
    """Return the source of a member of this name."""
    kind = "".join(part.capitalize() for part in name.split("_"))
    text = (HERE / f"{seam}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(name=name, kind=kind)


def folder() -> dict[str, str]:
    """Return the files of a folder to work in: name → text."""
    home = HERE / "folder"
    found = {p.relative_to(home).as_posix(): p for p in sorted(home.rglob("*.yaml"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    return {**texts, "plugins/my_penalty.py": member("variants", "my_penalty")}
