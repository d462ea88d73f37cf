"""`bench signals`: every reading per epoch in one frame, and which of them leads the collapse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(signals)


def signals(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder of `bench run`.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also keep all readings per epoch (parquet)."),
    ] = None,
) -> None:
    """Say which reading changes before the true accuracy of the argmax cell falls."""
    import sys

    from bench.report.signals import FALL, frame, leads, table
    from bench.report.summary import Summary

    readings = frame(Summary.read(directory))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        readings.to_parquet(output, index=False)
        print(f"wrote {output}", file=sys.stderr)
    found = table(leads(readings))
    if found.empty:
        print(f"no search in which the true accuracy falls by {FALL:g} points")
        return
    print(found.to_string(index=False, float_format="{:.2f}".format))
