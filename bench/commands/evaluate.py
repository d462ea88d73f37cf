"""`bench evaluate`: train one discretised architecture from scratch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="evaluate")(evaluate)


def evaluate(
    genotype: Annotated[
        str,
        typer.Argument(
            help="A genotype, a NAS-Bench-201 string, or a published one's name (DARTS_V2)."
        ),
    ],
    channels: Annotated[int | None, typer.Option(help="C; the paper's: 36.")] = None,
    layers: Annotated[int | None, typer.Option(help="Cells; the paper's: 20.")] = None,
    epochs: Annotated[int | None, typer.Option(help="The paper's: 600.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, augmentation.")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the recipe, or data.KEY, space.KEY: key=value."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to keep and to resume from.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Count the weights; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Train one architecture from scratch, test it once: accuracy, parameters, JSON."""
    from bench.training.asked import read
    from bench.training.train import evaluate as train

    short = {"space.channels": channels, "space.layers": layers, "epochs": epochs, "device": device}
    given = [f"{key}={value}" for key, value in short.items() if value is not None]
    evaluation = read(genotype, [*given, *(sets or [])], seed)
    if dry:
        images = evaluation.data.load()
        found = {**evaluation.describe(), "parameters": evaluation.network(images).count()}
    else:
        found = train(evaluation, output, lambda text: print(text, file=sys.stderr, flush=True))
    if as_json:
        print(json.dumps(found))
        return
    print(found["genotype"])
    print(f"parameters  {found['parameters']:,}")
    if not dry:
        print(f"accuracy    {found['accuracy']:.2f} % of {found['test_images']:,} test images")
        print(f"loss        {found['loss']:.4f}")
