"""`bench new KIND NAME`: a member of one's own to begin with, and how to run and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ABLATION = """\
question: Does {name} change what is found?
contrast: {{metric: true_accuracy, of: {name}, against: darts}}
plugins: {path}
space: nb201
variants:
  darts: {{}}
  {name}:
    {name}: {{strength: 1.0}}"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(new)


def new(
    kind: Annotated[str, typer.Argument(help="What `list` names: variant, space, truth, ...")],
    name: Annotated[str, typer.Argument(help="In lower case with underscores, e.g. my_variant.")],
    to: Annotated[
        Path, typer.Option("--to", help="The folder of your members; it is made if need be.")
    ] = Path("plugins"),
) -> None:
    """Write a member that works as it is into a folder of yours; say how to check and run it."""
    import sys

    from bench import scaffold
    from bench.commands.list import seam_of
    from bench.contracts import registry
    from bench.contracts.plugins import NAME

    seam = seam_of(kind)
    what = registry.singular(seam)
    if not NAME.fullmatch(name) or _keyword(name):
        raise ValueError(f"{name!r} is no name for a {what}; use a-z, 0-9 and _, e.g. my_{what}")
    if name in registry.names(seam):
        raise ValueError(f"there is a {what} {name!r} already; see `bench show {name}`")
    if taken := _taken(seam, name):
        raise ValueError(f"{name!r} is {taken}; a {what} needs a name of its own")
    path = to / f"{name}.py"
    to.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(scaffold.member(seam, name))
    except FileExistsError:
        raise ValueError(f"{path} is there already") from None
    print(f"wrote {path}", file=sys.stderr)
    print(f"check it   python -m bench check-member {path}", file=sys.stderr)
    print(f"see it     python -m bench show {name} --plugins {to}", file=sys.stderr)
    if seam == "variants":
        print(f"ask about it, as {name}.yaml beside {to}:\n", file=sys.stderr)
        print(ABLATION.format(name=name, path=path.as_posix()))


def _keyword(name: str) -> bool:
    import keyword

    return keyword.iskeyword(name)


WORDS = {
    *("true", "false", "null", "none", "nan", "inf", "yes", "no"),
    *("on", "off", "y", "n", "name", "preset"),
}
"""What means something else to YAML, to Python's tables or in ablation files."""


def _taken(seam: str, name: str) -> str | None:
    """Say what a name means already in ablation files; None where it is free for a member."""
    from bench.ablation.file import AblationFile
    from bench.contracts import registry
    from bench.search.settings import Settings

    if name in WORDS:
        return "a word of YAML or of ablation files"
    if name in Settings.model_fields or name in AblationFile.model_fields:
        return "a setting of a run"
    others = (other for other in registry.SEAMS if other != seam and name in registry.names(other))
    return next((f"a {registry.singular(other)} already" for other in others), None)
