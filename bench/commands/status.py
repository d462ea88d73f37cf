"""`bench status`: what is done, running, failed or dead, and when it will be over."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

LISTED = 100
"""Runs that are named; a terminal holds no more."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(status)


def status(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder, or a folder of them.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Say how the runs stand, whoever runs them; exit 1 where some failed or are dead."""
    from rich.table import Table
    from rich.text import Text

    from bench import cli, terminal
    from bench.runs.index import rows
    from bench.runs.status import attention, count, eta, outputs, runs
    from bench.written import duration

    ended = {root: rows(root) for root in outputs(directory)}
    found = {root: runs(root, own) for root, own in ended.items()}
    bad = any(s.kind in ("failed", "stale") for states in found.values() for s in states)
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "output": str(root),
                        "counts": count(states),
                        "eta_seconds": eta(states),
                        "runs": [
                            {"label": s.label, "seed": s.seed, **dataclasses.asdict(s)}
                            for s in states
                        ],
                    }
                    for root, states in found.items()
                ]
            )
        )
        raise typer.Exit(cli.FAILED if bad else cli.OK)
    console = terminal.console()
    for root, states in found.items():
        counts = ", ".join(f"{number} {kind}" for kind, number in count(states).items() if number)
        left = eta(states)
        note = f"; about {duration(left)} left" if left else ""
        print(f"{root}: {len(states)} runs: {counts}{note}")
        table = Table(box=None, pad_edge=False, show_header=False)
        noted = list(attention(states))
        for state in noted[:LISTED]:
            heard = (
                f"silent for {duration(state.quiet)}"
                if state.kind == "stale" and state.quiet
                else ""
            )
            at = f"epoch {state.epoch}/{state.epochs}" if state.epochs else ""
            said = state.status if state.status not in ("running", "") else ""
            note = ", ".join(part for part in (said, at, heard, state.error) if part)
            table.add_row(Text(state.label), f"seed {state.seed}", state.kind, Text(note[:120]))
        if table.rows:
            console.print(table)
        if len(noted) > LISTED:
            print(f"and {len(noted) - LISTED} more; --json has them all")
        for text in made(root, ended[root]):
            print(text)
        if any(s.kind in ("failed", "stale", "stopped") for s in states):
            print(f"next    {terminal.command('retry', root)}")
    raise typer.Exit(cli.FAILED if bad else cli.OK)


def made(root: Path, found: list[dict[str, Any]]) -> list[str]:
    """Say how the results were computed, and what of that differs or has changed since."""
    from bench.runs.made import alike, computed
    from bench.runs.sources import outdated

    lines = [f"computed by {text}"] if (text := computed(found)) else []
    lines += alike(found)
    for name, folders in outdated(root, found=found).items():
        lines.append(f"{name} changed since {len(folders)} of the runs; --force runs them again")
    return lines
