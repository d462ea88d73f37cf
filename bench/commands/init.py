"""`bench init DIR`: a folder to work in, with a question, a profile and a variant of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or an empty folder.")],
) -> None:
    """Lay out a folder of your own: question.yaml, profiles/small.yaml, plugins/my_penalty.py."""
    from bench import scaffold

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"{directory}: is there already and not an empty folder; name another")
    for name, text in scaffold.folder().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    print(f"next  cd {directory} && python -m bench run question.yaml --profile small")
