"""`bench check-member FILE`: does a member of one's own keep what its seam promises?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="check-member")(check_member)


def check_member(
    file: Annotated[Path, typer.Argument(help="The file, or the folder, that holds the member.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the member: key=value.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Run the contract of the member's seam on it; exit 1 where a promise is not kept."""
    import json

    from bench.ablation.layers import Layer
    from bench.conformance import findings
    from bench.contracts import registry

    seam, kind = registry.in_file(file)
    layer = Layer({"name": kind.name})
    layer.assign(sets or [])
    layer.member(
        seam, otherwise=str(file)
    )  # a wrong parameter is a wrong use, not a broken promise
    fields = {key: value for key, value in layer.data.items() if key != "name"}
    found = []
    if not as_json:
        print(f"{kind.name}, {registry.singular(seam)}, from {file}")
    for finding in findings(seam, kind, fields):
        found.append(finding)
        if not as_json:
            said = f": {finding.broken}" if finding.broken else ""
            print(f"{'FAILED' if finding.broken else 'ok    '} {finding.promise}{said}", flush=True)
    if as_json:
        print(json.dumps([{"promise": f.promise, "broken": f.broken} for f in found], indent=1))
    raise typer.Exit(1 if any(f.broken for f in found) else 0)
