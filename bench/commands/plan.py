"""`bench plan`: every run of an ablation, cached or new, and what it will cost; runs nothing."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.commands.run import (
    DeviceOption,
    FileArgument,
    JsonOption,
    OnlyOption,
    OutputOption,
    ProfileOption,
    SeedsOption,
    SetOption,
    check_only,
    resolve,
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="plan")(plan_command)


def plan_command(
    file: FileArgument,
    profile: ProfileOption = "quick",
    output: OutputOption = None,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every run with its estimated cost, and whether it is done; runs nothing."""
    from rich.console import Console
    from rich.table import Table

    from bench.executors.processes import cores
    from bench.runs import store
    from bench.runs.cost import cost, readings
    from bench.runs.spec import default_output, plan

    ablation = resolve(file, profile, seeds, sets, device)
    check_only(ablation, only)
    specs = plan(ablation, only or ())
    root = output or default_output(ablation)
    measured: dict[str, list[float]] = {}
    for result in store.results(root):
        if result["status"] == "ok" and result.get("work"):
            rate = result["seconds"] / result["work"]
            measured.setdefault(result["provenance"]["device"], []).append(rate)
    rates = {device: sorted(values)[len(values) // 2] for device, values in measured.items()}
    rows = [(spec, store.done(root / spec.folder), cost(spec, rates)) for spec in specs]
    new = [estimate for _, cached, estimate in rows if not cached]
    side_by_side = jobs or max(1, cores() // max(spec.settings.threads for spec in specs))
    wall = max(
        sum(c.seconds for c in new) / side_by_side, max((c.seconds for c in new), default=0.0)
    )
    if as_json:
        print(
            json.dumps(
                {
                    "output": str(root),
                    "wall_seconds": wall,
                    "runs": [
                        {"label": s.label, "seed": s.seed, "digest": s.digest, "cached": cached,
                         "seconds": c.seconds, "instruments": readings(s), "memory": c.memory, "disk": c.disk,
                         "basis": c.basis}
                        for s, cached, c in rows
                    ],
                }
            )
        )  # fmt: skip
        return
    table = Table(box=None, pad_edge=False)
    for column in ("variant", "seed", "state", "time", "for instruments", "memory", "disk"):
        table.add_column(column, justify="left" if column in ("variant", "state") else "right")
    for spec, cached, estimate in rows:
        table.add_row(
            spec.label, str(spec.seed), "done" if cached else "new",
            duration(estimate.seconds), f"{estimate.instruments:.0%}",
            f"{estimate.memory / 1e6:,.0f} MB",
            f"{estimate.disk / 1e6:.1f} MB",
        )  # fmt: skip
    Console().print(table)
    basis = rows[0][2].basis if rows else ""
    print(
        f"{len(new)} of {len(rows)} runs to do, about {duration(wall)} with {side_by_side} side by side "
        f"(estimated from {basis}); output {root}"
    )


def duration(seconds: float) -> str:
    """Write a duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
