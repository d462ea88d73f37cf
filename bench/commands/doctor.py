"""`bench doctor`: is everything here that a run needs?"""

from __future__ import annotations

import shutil
from pathlib import Path

import typer

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "pydantic",
    "analog-nasbench",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor() -> None:
    """Report versions, device, determinism, disk, truth and data found; exit 1 if a run cannot work."""
    import importlib.metadata
    import platform

    import torch

    import bench
    from bench import kernels
    from bench.contracts import registry
    from bench.devices import cores, resolve_device
    from bench.runs.run import arithmetic  # noqa: F401 (imports all that a run needs)

    broken = False

    def say(what: str, value: str, good: bool = True) -> None:
        print(f"{'ok ' if good else '!! '} {what:14} {value}")

    say("bench", bench.__version__)
    say("python", platform.python_version())
    for package in PACKAGES:
        try:
            say(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            broken = True
            say(package, f"missing: pip install {package}", good=False)
    device = resolve_device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{cores()} cores"
    say("device", f"{device.type} ({name})")
    first, second = (_micro_search() for _ in range(2))
    broken |= first != second
    say(
        "determinism",
        "two searches agree bit for bit" if first == second else "two searches differ",
        good=first == second,
    )
    found = kernels.load("nb201_cell_float8") is not None
    say(
        "kernel",
        "compiled" if found else "optional: no C++ compiler; searches run in PyTorch alone",
    )
    free = shutil.disk_usage(Path.cwd()).free
    say("disk", f"{free / 1e9:.1f} GB free here", good=free > 1e9)
    for seam, members in (
        ("truth", ("analog",)),
        ("data", ("digits", "cifar10", "cifar100", "fashion_mnist")),
    ):
        for member in members:
            try:
                registry.parse(seam, member).load()
                say(seam, f"{member} found")
            except ValueError as error:
                embedded = member in ("analog", "digits")
                broken |= embedded
                say(seam, f"{'' if embedded else 'optional: '}{error}", good=not embedded)
    raise typer.Exit(1 if broken else 0)


def _micro_search() -> list[list[float]]:
    """Return alpha after a search of two epochs on 128 digits."""
    from bench.search.loop import search
    from bench.search.settings import Settings
    from bench.search.setup import build, initial_state

    settings = Settings.model_validate(
        {
            "space": {"name": "nb201", "channels": 4, "cells": 1},
            "data": {"name": "digits", "size": 128},
            "search": {"epochs": 2, "batch": 32},
            "instruments": [],
            "device": "cpu",
        }
    )
    setup = build(settings, [], seed=0)
    state = initial_state(setup)
    search(setup, state)
    alpha: list[list[float]] = state.architecture["alpha"].tolist()
    return alpha
