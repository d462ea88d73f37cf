"""`bench figure DIR NAME -o fig.pdf`: a figure of the page, for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(figure)


def figure(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder, or a folder of results.")
    ],
    name: Annotated[
        str, typer.Argument(help="A figure, or NAME:2 for its second panel; none: list them.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="fig.pdf, .png, .svg or .pgf.")
    ] = None,
) -> None:
    """Draw a figure of the page into a file; without a name list what there is."""
    import matplotlib as mpl

    from bench.report import svg
    from bench.report.axes import draw, names
    from bench.report.summary import Summary

    summary = Summary.read(directory)
    if not name:
        for known, title in names(summary).items():
            print(f"{known:28} {title}")
        return
    path = output or Path(f"{name.replace(':', '-')}.pdf")
    with svg.style(), mpl.rc_context({"pdf.fonttype": 42, "savefig.facecolor": "white"}):
        made = draw(summary, name)
        try:
            made.savefig(path)
        except ValueError as error:  # an ending that is no format
            raise ValueError(f"--output {path}: {str(error).splitlines()[0]}") from None
    print(f"wrote {path}")
