"""`bench bias`: what the hypergradient bias instrument found, as a page, numbers and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(bias)


def bias(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder of `bench run`.")
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Where to write; results/<name of the ablation> by default."),
    ] = None,
) -> None:
    """Write summary.md, bias.csv and bias.svg of the runs that had `hypergradient_bias`."""
    from bench.report.bias import write
    from bench.runs.manifest import read_manifest

    target = to or Path("results") / str(read_manifest(directory)["name"])
    print(write(directory, target))
    for name in ("summary.md", "bias.csv", "bias.svg"):
        print(f"wrote   {target / name}")
