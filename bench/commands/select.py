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
    from bench.ablation.file import assignment
    from bench.contracts import registry
    from bench.runs import checkpoint, store
    from bench.runs.run import arithmetic, judge_cell, rewind
    from bench.search.setup import build, restored

    if not (run / store.SPEC).is_file():
        raise ValueError(f"{run}: no run's folder ({store.SPEC} is missing)")
    parameters = dict(assignment(text) for text in sets or [])
    if deep := [key for key in parameters if len(key) > 1]:
        raise ValueError(f"--set {'.'.join(map(str, deep[0]))}: {rule} has no such parameter")
    chosen = registry.parse(
        "selection", {str(k[0]): v for k, v in parameters.items()} | {"name": rule}
    )
    spec = store.read_spec(run)
    saved = checkpoint.load(run / store.CHECKPOINT, spec.digest)
    with arithmetic(spec):
        setup = build(spec.settings, spec.variants, spec.seed)
        state = restored(setup, saved)
        rewind(state)
        found = judge_cell(setup, chosen.select(setup, state))
    found = {"run": run.name, "rule": registry.dump(chosen), "epoch": state.epoch, **found}
    if as_json:
        print(json.dumps(found))
        return
    print(f"cell               {found['cell']}")
    print(f"skips              {found['skip_count']}")
    print(f"weight-free share  {found['weight_free_share']:.2f}")
    if setup.truth is not None:
        print(f"true accuracy      {found['true_accuracy']:.2f} %")
        if setup.truth.reference:
            print(f"regret             {found['regret']:.2f} points of {setup.truth.best:.2f} %")
