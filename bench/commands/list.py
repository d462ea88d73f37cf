"""`bench list` and `bench show`: what is registered, its parameters, its paper."""

from __future__ import annotations

import inspect
import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(name="list")(list_command)
    app.command(name="show")(show)


def seam_of(kind: str) -> str:
    """Return the seam for what a user calls it, in the singular or the plural."""
    from bench.contracts.registry import SEAMS, did_you_mean, singular

    for seam in SEAMS:
        if kind in (seam, singular(seam), f"{seam}s"):
            return seam
    known = [*SEAMS, "metrics", "settings"]
    raise ValueError(f"unknown kind {kind!r}; {did_you_mean(kind, known)}")


def list_command(
    kind: Annotated[str, typer.Argument(help="spaces, variants, ..., metrics, settings")] = "",
    wide: Annotated[
        bool,
        typer.Option("--wide", help="With parameters, cost and paper: a table for 200 columns."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Of settings: the whole reference, as in docs.")
    ] = False,
) -> None:
    """List what is registered: of one kind, a line each; or the names of all kinds."""
    from rich.table import Table

    from bench import terminal
    from bench.contracts import registry
    from bench.search.settings import fields

    if not kind:
        found = {seam: registry.names(seam) for seam in registry.SEAMS}
        if as_json:
            print(json.dumps(found))
            return
        found["metrics"] = ["what the results hold: `bench list metrics`"]
        found["settings"] = ["what a run is told: `bench list settings`"]
        terminal.entries((seam, ", ".join(names)) for seam, names in found.items())
        return
    if kind in ("metric", "metrics"):
        list_metrics(as_json)
        return
    if kind in ("setting", "settings"):
        list_settings(as_json, markdown)
        return
    seam = seam_of(kind)
    members = [registry.load(seam, name) for name in registry.names(seam)]
    if as_json:
        rows = [
            {
                "name": m.name,
                "summary": m.summary(),
                "paper": m.paper,
                "parameters": [f[0] for f in fields(m)],
            }
            for m in members
        ]
        print(json.dumps(rows))
        return
    if not wide:
        terminal.entries((member.name, member.summary()) for member in members)
        print(f"\nparameters and paper: bench show NAME, or bench list {kind} --wide")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    costs = [name for name in ("time", "memory", "cost") if all(hasattr(m, name) for m in members)]
    for column in ("name", "what it is", "parameters", *costs, "paper"):
        table.add_column(column, overflow="fold")
    for member in members:
        parameters = ", ".join(f"{name}={default}" for name, _, default, _ in fields(member))
        table.add_row(
            member.name,
            member.summary(),
            parameters,
            *(str(getattr(member, name)) for name in costs),
            member.paper,
        )
    terminal.console().print(table)


def list_metrics(as_json: bool) -> None:
    """List what an ablation may ask about: name, unit, direction, meaning, and who measures it."""
    from bench import terminal
    from bench.metrics import Metric, known

    found = known()
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "name": name,
                        "heading": m.short,
                        "unit": m.unit,
                        "better": m.better,
                        "binary": m.binary,
                        "meaning": m.meaning,
                        "measured_by": origin,
                    }
                    for name, (origin, m) in found.items()
                ]
            )
        )
        return

    def about(name: str, m: Metric) -> tuple[str, str]:
        said = [m.unit or ("0 or 1" if m.binary else ""), m.better and f"{m.better} is better"]
        return name, f"{m.meaning} ({', '.join(filter(None, said))})" if any(said) else m.meaning

    for origin in dict.fromkeys(origin for origin, _ in found.values()):
        measured = "in every result" if origin == "results" else f"with the instrument {origin}"
        print(f"{measured}\n")
        terminal.entries(
            about(name, m) for name, (measured_by, m) in found.items() if measured_by == origin
        )
        print()
    print("* stands for several; `contrast.metric` takes any of these names")


def list_settings(as_json: bool, markdown: bool) -> None:
    """List every setting of a run: name, what it takes, default, meaning."""
    from bench import terminal
    from bench.search.reference import as_markdown, settings

    if markdown:
        print(as_markdown(), end="")
        return
    rows = list(settings())
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    terminal.entries(
        (row.name, f"{row.meaning} ({row.kind}; default {row.default})".strip()) for row in rows
    )
    print("\nthe parameters of a member: bench show NAME; of all of them: docs/settings.md")


def show(
    name: Annotated[str, typer.Argument(help="The name of anything that `list` shows.")],
) -> None:
    """Say what one member does: its docstring, parameters with defaults, and its paper."""
    from bench.contracts import registry
    from bench.search.settings import fields

    seams = [seam for seam in registry.SEAMS if name in registry.names(seam)]
    if not seams:
        everything = sorted({n for seam in registry.SEAMS for n in registry.names(seam)})
        raise ValueError(f"unknown name {name!r}; {registry.did_you_mean(name, everything)}")
    for seam in seams:
        member = registry.load(seam, name)
        print(f"{name} ({registry.singular(seam)})\n")
        print(inspect.cleandoc(member.__doc__ or ""))
        if rows := fields(member):
            print("\nparameters")
            for field, kind, default, description in rows:
                print(
                    f"  {field}: {kind} = {default}"
                    + (f"\n      {description}" if description else "")
                )
        if member.presets:
            print("\npresets")
            for preset, parameters in member.presets.items():
                said = ", ".join(f"{name}: {value}" for name, value in parameters.items())
                print(f"  {preset}: {said}")
        for attribute in ("time", "memory", "cost"):
            if value := getattr(member, attribute, ""):
                print(f"\n{attribute}: {value}")
        if member.paper:
            print(f"\npaper: {member.paper}")
