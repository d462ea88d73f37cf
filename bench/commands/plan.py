"""`bench plan`: every run of an ablation, cached or new, and what it will cost; runs nothing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.run import (
    BudgetOption,
    DeviceOption,
    FileArgument,
    JsonOption,
    OffsetOption,
    OnlyOption,
    OutputOption,
    ProfileOption,
    SeedsOption,
    SetOption,
    UntilOption,
    narrow,
    resolve,
    truth_doubts,
)
from bench.written import duration

if TYPE_CHECKING:
    from bench.decision.budget import Until
    from bench.runs.cost import Cost
    from bench.runs.spec import RunSpec

LISTED = 200
"""Runs from which on a variant has one line, not each of its runs."""
SHOWN = "9 of 10"
"""Of what happens with the seeds, where it is open how many there will be, this is listed."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="plan")(plan_command)


def plan_command(
    file: FileArgument,
    profile: ProfileOption = "quick",
    output: OutputOption = None,
    seeds: SeedsOption = None,
    until_decided: UntilOption = False,
    budget: BudgetOption = None,
    seed_offset: OffsetOption = 0,
    only: OnlyOption = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every run with its estimated cost, and whether it is done; runs nothing."""
    from rich.table import Table

    from bench import terminal
    from bench.devices import cores
    from bench.runs import index
    from bench.runs.contents import Contents
    from bench.runs.cost import cost, readings
    from bench.runs.spec import default_output, plan

    ablation = resolve(file, profile, seeds, sets, device, until_decided, budget, seed_offset)
    ablation = narrow(ablation, only, until_decided or budget is not None)
    specs = plan(ablation, only or (), Contents(absent=_absent))
    root = output or default_output(ablation)
    try:
        warnings = truth_doubts(specs)
    except ValueError as error:  # what would end the run is no reason to show no plan
        warnings = [str(error)]
    expected: dict[str, float] = {}
    if ablation.until is not None:
        from bench.decision.power import expected_pairs  # late: takes a second

        expected = {
            name: max(pairs, min(ablation.until.least, ablation.until.most))
            for name, pairs in expected_pairs(ablation.until.most).items()
        }
        shown = set(ablation.seeds[: math.ceil(expected[SHOWN])])
        contrast, others = ablation.contrast, ablation.until.others
        few = set(ablation.seeds[:others])
        specs = [
            spec
            for spec in specs
            if spec.seed in shown
            and (spec.label in (contrast.of, contrast.against) or spec.seed in few)
        ]
    ended = {row["folder"]: row for row in index.rows(root)}
    done = {name for name, row in ended.items() if row.get("status") == "ok"}
    planned, rates = [(spec, spec.folder) for spec in specs], dict[str, float]()
    for device in {spec.settings.device for spec in specs}:
        mine = [
            ended[name] for spec, name in planned if name in done and spec.settings.device == device
        ]
        took = sorted(
            s / w for row in mine if (w := number(row, "work")) and (s := number(row, "seconds"))
        )
        if took:
            rates[device] = took[len(took) // 2]
    first = {spec.label: spec for spec in specs}  # the seeds of an arm cost the same
    each = {label: cost(spec, rates) for label, spec in first.items()}
    rows = [(spec, name in done, each[spec.label]) for spec, name in planned]
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
                    "expected_pairs": expected,
                    "warnings": warnings,
                    "runs": [
                        {
                            "label": s.label,
                            "seed": s.seed,
                            "digest": s.digest,
                            "cached": cached,
                            "seconds": c.seconds,
                            "instruments": readings(s),
                            "memory": c.memory,
                            "disk": c.disk,
                            "basis": c.basis,
                        }
                        for s, cached, c in rows
                    ],
                }
            )
        )
        return
    table = Table(box=None, pad_edge=False)
    for column in ("variant", "seed", "state", "time", "for instruments", "memory", "disk"):
        table.add_column(column, justify="left" if column in ("variant", "state") else "right")
    if len(rows) > LISTED:
        table.columns[1].header = "runs"
    for spec, number_of, state, estimate in shown_rows(rows):
        table.add_row(
            spec.label,
            number_of,
            state,
            duration(estimate.seconds),
            f"{estimate.instruments:.0%}",
            f"{estimate.memory / 1e6:,.0f} MB",
            f"{estimate.disk / 1e6:.1f} MB",
        )
    terminal.console().print(table)
    basis = rows[0][2].basis if rows else ""
    print(
        f"{len(new)} of {len(rows)} runs to do, about {duration(wall)} with {side_by_side} side by side "
        f"(estimated from {basis}); output {root}"
    )
    for doubt in warnings:
        print(f"warning: {doubt}")
    if ablation.until is not None:
        print(until(ablation.until, expected))


def number(row: dict[str, Any], name: str) -> float:
    """Return a number of a finished run; 0 where it has none."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def shown_rows(
    rows: Sequence[tuple[RunSpec, bool, Cost]],
) -> Iterator[tuple[RunSpec, str, str, Cost]]:
    """Yield what the table lists: every run, or every variant where there are many."""
    if len(rows) <= LISTED:
        for spec, cached, estimate in rows:
            yield spec, str(spec.seed), "done" if cached else "new", estimate
        return
    by_label: dict[str, list[tuple[RunSpec, bool, Cost]]] = {}
    for row in rows:
        by_label.setdefault(row[0].label, []).append(row)
    for mine in by_label.values():
        spec, _, estimate = mine[0]
        yield spec, str(len(mine)), f"{sum(cached for _, cached, _ in mine)} done", estimate


def until(limits: Until, expected: dict[str, float]) -> str:
    """Say how many seeds to expect where pairs are added until the contrast is decided."""
    cases = ", ".join(
        f"{math.ceil(pairs)} where {name} {'does' if name == 'every' else 'do'}"
        f"{' (shown above)' if name == SHOWN else ''}"
        for name, pairs in expected.items()
    )
    time = f" or {duration(limits.budget)}" if limits.budget else ""
    return (
        f"pairs of seeds are added until the contrast is decided, at most {limits.most}{time}; to "
        f"expect, by how many of the pairs that differ point the same way: {cases}; ties come on top"
    )


def _absent(text: str) -> None:
    print(f"warning: {text}; its runs are shown as new", file=sys.stderr)
