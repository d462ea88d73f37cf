"""`bench export`: an output folder for TensorBoard, for MLflow, or as parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of `bench run`.")],
    tensorboard: Annotated[
        Path | None, typer.Option("--tensorboard", metavar="OUT", help="Write event files here.")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option("--mlflow", metavar="URI", help="Tracking server or store: sqlite:///runs.db"),
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="OUT", help="Write every table here.")
    ] = None,
) -> None:
    """Give the results of an ablation to other tools."""
    from bench import exports
    from bench.report.summary import Summary

    wanted = {"tensorboard": tensorboard, "mlflow": mlflow, "parquet": parquet}
    chosen = {name: str(to) for name, to in wanted.items() if to is not None}
    if not chosen:
        raise ValueError("say where to: --tensorboard OUT, --mlflow URI or --parquet OUT")
    summary = Summary.read(directory)
    for name, to in chosen.items():
        print(exports.load(name)(summary, to))
