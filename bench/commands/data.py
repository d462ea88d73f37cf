"""`bench data`: get images, say what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

sub = typer.Typer(help="Images.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the application."""
    app.add_typer(sub, name="data")


@sub.command()
def fetch(
    name: Annotated[str, typer.Argument(help="cifar10, cifar100, fashion_mnist or svhn.")],
    root: Annotated[Path, typer.Option("--root", help="Where to put the files.")] = Path("data"),
) -> None:
    """Download a data set through torchvision, checked by its checksum."""
    from bench.contracts import registry

    source = registry.load("data", name)
    if "download" not in source.model_fields:
        raise ValueError(
            f"{name} is not downloaded; `python -m bench show {name}` says where it comes from"
        )
    images = source(root=str(root), download=True).load()
    print(f"{name}: {len(images):,} training images under {root}")


@sub.command()
def info(
    name: Annotated[str, typer.Argument(help="A registered data set.")],
    root: Annotated[Path | None, typer.Option("--root", help="Where the files are.")] = None,
) -> None:
    """Say what a data set holds."""
    from bench.contracts import registry

    source = registry.parse("data", {"name": name} | ({"root": str(root)} if root else {}))
    images = source.load()
    channels, height, width = images.pixels.shape[1:]
    print(
        f"{name}: {len(images):,} training images, {channels}x{height}x{width}, {images.classes} classes"
    )
    print(f"per class: {images.labels.bincount().tolist()}")
    halves = source.halves()
    print(
        f"halves: {len(halves.train):,} for the weights, {len(halves.valid):,} for the architecture"
    )
    print(f"augmented: crop {images.crop} pixels, mirror {images.flip}")
