"""`bench baseline`: accept what the working tree gives as right, with a reason that is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.check import BaselinesOption, JobsOption


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(baseline)


def baseline(
    reason: Annotated[
        str, typer.Option("--reason", help="Why these numbers are the right ones from now on.")
    ],
    baselines: BaselinesOption = Path("results/baselines"),
    jobs: JobsOption = 2,
    keep_bank: Annotated[
        bool,
        typer.Option("--keep-bank", help="Record the traces only: outcomes are still the same."),
    ] = False,
) -> None:
    """Record traces and the bank of 20 seeds (about four minutes on 2 cores) for `bench check`."""
    from bench.gate import baseline as recorded
    from bench.gate.searches import METRICS

    old = recorded.read(baselines) if keep_bank else None

    def notify(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    made = recorded.make(reason, jobs=jobs, keep=old, notify=notify)
    path = recorded.write(made, baselines)
    print(f"wrote   {path}")
    for name, values in made.bank.items():
        ordered = sorted(values)
        print(
            f"{METRICS[name][1]:52} median {(ordered[9] + ordered[10]) / 2:8.3f}, threshold "
            f"{ordered[made.k - 1]:8.3f}, a drop of {made.detectable[name]:.3f} is seen in 90 %"
        )
