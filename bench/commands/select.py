"""`bench select`: read a cell off a stored run by another rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="select")(select)


def select(
    run: Annotated[Path, typer.Argument(help="A run's folder, with its checkpoint.")],
    rule: Annotated[str, typer.Option("--rule", "-r", help="See `list selection`.")] = "argmax",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the rule: key=value.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Apply a selection rule to a run's checkpoint; nothing of the run is changed."""
    from bench.ablation.layers import Layer
    from bench.contracts import registry
    from bench.runs import store
    from bench.runs.reopen import reopen
    from bench.runs.run import arithmetic, judge_cell, rewind

    if not (run / store.SPEC).is_file():
        raise ValueError(f"{run}: no run's folder ({store.SPEC} is missing)")
    layer = Layer({"name": rule})
    layer.assign(sets or [])
    chosen = layer.member("selection", otherwise=f"--rule {rule}")
    spec = store.read_spec(run)
    with arithmetic(spec):
        setup, state = reopen(run)
        rewind(state)
        found = judge_cell(setup, chosen.select(setup, state))
    found = {"run": run.name, "rule": registry.dump(chosen), "epoch": state.epoch, **found}
    if as_json:
        print(json.dumps(found))
        return
    print(f"cell               {found['cell']}")
    if "skip_count" in found:  # else it says nothing of this space's cells
        print(f"skips              {found['skip_count']}")
    if "weight_free_share" in found:
        print(f"weight-free share  {found['weight_free_share']:.2f}")
    if setup.truth is not None:
        print(f"true accuracy      {found['true_accuracy']:.2f} %")
        if setup.truth.reference:
            print(f"regret             {found['regret']:.2f} points of {setup.truth.best:.2f} %")
