"""`bench evaluate`: train one discretised architecture from scratch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bench.ablation.layers import Layer
    from bench.contracts.space import Space
    from bench.training.train import Evaluation


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


def read(genotype: str, sets: list[str], seed: int) -> Evaluation:
    """Put together what is asked for, beginning with how the space's networks are evaluated.

    Raises
    ------
    ValueError
        When no space knows the genotype, or a setting is not one.
    """
    from bench.ablation.layers import Layer
    from bench.ablation.yamlfile import ConfigError
    from bench.training.train import Evaluation, Recipe

    layer = Layer()
    layer.assign(sets)
    space_layer, data_layer = layer.part("space"), layer.part("data")
    space = _space(genotype, space_layer)
    data_layer.data.setdefault("name", "cifar10")
    if "name" in layer.data:
        raise ConfigError("--set name: expected a field of the recipe, data.KEY or space.KEY")
    layer.data = {**space.recipe, **layer.data}
    data = data_layer.member("data", within="data")
    return Evaluation(space, space.decode(genotype), data, layer.read(Recipe), seed)


def _space(genotype: str, asked: Layer) -> Space:
    """Return the space that the text is written in, with the sizes that are asked for."""
    from bench.ablation.layers import Layer
    from bench.ablation.yamlfile import ConfigError
    from bench.contracts import registry

    fields = asked.data
    reasons = []
    wanted = fields.get("name")
    for name in registry.names("spaces") if wanted is None else [wanted]:
        kind = registry.load("spaces", name)
        try:
            # The sizes do not matter to the text, so that a mistake in them is said as such.
            registry.parse("spaces", {"name": name, **_naming(kind, fields)}).decode(genotype)
        except ValueError as error:
            reasons.append(f"{name}: {' '.join(str(error).split())}")
            continue
        whole = Layer({**kind.evaluated, **fields, "name": name}, asked.origin)
        space: Space = whole.member("spaces", within="space")
        return space
    raise ConfigError(f"no space knows this architecture; {'; '.join(reasons)}")


def _naming(kind: type[Space], fields: dict[str, Any]) -> dict[str, Any]:
    """Return those of the fields that decide how an architecture is written."""
    naming = ("operations", "per_edge", "nodes", "preset")
    return {
        key: value
        for key, value in fields.items()
        if key in naming and (key in kind.model_fields or key == "preset")
    }
