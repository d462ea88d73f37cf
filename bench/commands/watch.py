"""`bench watch DIR`: the pages of an output folder, or of a folder of them, while runs go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PORT = 8642


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(watch)


def watch(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder, or a folder of them.")
    ] = Path("results/runs"),
    port: Annotated[
        int, typer.Option("--port", help="Of the loopback; 0 takes any free one.", min=0, max=65535)
    ] = PORT,
) -> None:
    """Serve the pages to a browser on this machine, refreshed as runs end; writes nothing."""
    from bench.report.watch import HOST, server

    try:
        found = server(directory, port)
    except OSError as error:
        raise ValueError(f"--port {port}: {error.strerror}; --port 0 takes any free one") from None
    print(f"http://{HOST}:{found.server_address[1]}/  (Ctrl-C ends it)", flush=True)
    with found:
        try:
            found.serve_forever()
        except KeyboardInterrupt:
            print("ended")
