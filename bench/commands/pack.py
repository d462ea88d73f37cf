"""`bench pack`, `merge` and `verify`: results that travel, join and can be checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.runs.merge import Merged

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="The folder of results to write, results/NAME.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(pack)
    app.command()(merge)
    app.command()(verify)


def pack(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder of `bench run`.")
    ],
    output: OutputOption,
) -> None:
    """Write what a colleague or a repository needs of an output folder: no pages, no checkpoints.

    `report`, `compare`, `verdict`, `signals`, `figure` and `merge` read the result as they do the
    folder itself.
    """
    from bench.runs.merge import merge as join

    _write(join([directory]), output)


def merge(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders of one ablation, of either kind."),
    ],
    output: OutputOption,
) -> None:
    """Join the runs of one ablation from several machines into a folder of results."""
    from bench.runs.merge import merge as join

    merged = join(directories)
    for note in merged.notes:
        print(f"note: {note}", file=sys.stderr)
    _write(merged, output)


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of results.")],
) -> None:
    """Check every hash of a folder of results and compute its numbers again; exit 1 where one is off."""
    from bench.report.recount import recount
    from bench.runs.packed import damage

    lines = [f"FAILED {line}" for line in damage(directory)]
    checked: list[str] = []
    if not lines:
        checked, wrong = recount(directory)
        lines = [f"FAILED {line}" for line in wrong]
    for line in [*(f"ok     {line}" for line in checked), *lines]:
        print(line)
    if lines:
        raise typer.Exit(1)


def _write(merged: Merged, output: Path) -> None:
    """Write a folder of results and say what it holds."""
    from bench.files import read
    from bench.report.recount import table_of
    from bench.runs.packed import LARGEST, write

    scores = {name: read(path, LARGEST, links=False) for name, path in merged.scores.items()}
    table = table_of(merged.manifest, merged.results)
    sizes = write(output, merged.manifest, merged.results, scores, table)
    done = sum(result["status"] == "ok" for result in merged.results.values())
    planned = len(merged.manifest["runs"])
    print(f"wrote   {output}: {done} of {planned} runs, {sum(sizes.values()) / 1e6:.2f} MB")
    print(f"next    python -m bench verify {output}")
