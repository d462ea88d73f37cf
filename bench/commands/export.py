"""`bench export`: an output folder for TensorBoard, MLflow or as parquet, or one network to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Output folder of `bench run`; for --model that of `evaluate` or of one run.",
        ),
    ],
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
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="OUT", help="Write a network that stands alone here."),
    ] = None,
) -> None:
    """Give the results of an ablation to other tools, or a network to anybody.

    --model writes weights (safetensors), a model.py that imports torch alone, and a model card.
    """
    from bench import exports

    if model is not None:
        from bench.training.takeaway import write
        from bench.training.taken import network_of

        network, told, sample, images = network_of(directory)
        for path in write(network, model, told, sample, images.mean, images.std):
            print(f"wrote {path}")
        return
    from bench.report.summary import Summary

    wanted = {"tensorboard": tensorboard, "mlflow": mlflow, "parquet": parquet}
    chosen = {name: str(to) for name, to in wanted.items() if to is not None}
    if not chosen:
        raise ValueError(
            "say where to: --tensorboard OUT, --mlflow URI, --parquet OUT or --model OUT"
        )
    summary = Summary.read(directory)
    for name, to in chosen.items():
        print(exports.load(name)(summary, to))
