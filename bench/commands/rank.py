"""`bench rank`: rank a stored checkpoint again, under another protocol or truth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.written import finite

if TYPE_CHECKING:
    import pandas as pd

    from bench.contracts.truth import TruthSource
    from bench.ranking.protocol import Protocol


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(rank)


def rank(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of finished runs.")
    ] = None,
    protocol: Annotated[
        Path | None,
        typer.Option("--protocol", "-p", help="A YAML file with a protocol's fields, or a grid."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field: batch_norm=recalibrated, truth.column=..."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also keep every score or row (CSV).")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option("--scores", help="Instead of runs: a CSV of anybody's scores, arch,score."),
    ] = None,
    column: Annotated[str, typer.Option("--column", help="Of --scores: the column.")] = "score",
    lower: Annotated[
        bool, typer.Option("--lower", help="Of --scores: lower scores are better, as of a loss.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Rank supernets of finished runs again: the panel with intervals, ceiling, baseline and hash.

    With several runs, or a protocol file that holds a grid, a table of τ under every protocol.
    With --scores FILE.csv the scores of anybody's code: against the embedded truth, or another
    (--set truth.name=table --set truth.path=FILE).
    """
    if scores is not None:
        if runs or protocol is not None:
            raise ValueError("--scores: is ranked by itself; leave out RUN and --protocol")
        _scores(scores, column, lower, sets or [], output, as_json)
        return
    if not runs:
        raise ValueError("RUN: name a finished run, or a file of scores with --scores FILE.csv")
    from bench.ablation.yamlfile import ConfigError
    from bench.ranking.sweep import read_protocols

    varied = protocol is not None and len(read_protocols(protocol, _default())) > 1
    if len(runs) == 1 and not varied:
        _one(runs[0], protocol, sets or [], output, as_json)
        return
    if protocol is None or sets:
        raise ConfigError("--set: with several runs or a grid, say everything in --protocol FILE")
    _many(runs, protocol, output, as_json)


def _scores(
    path: Path, column: str, lower: bool, sets: list[str], output: Path | None, as_json: bool
) -> None:
    """Rank the scores of a file and show the whole panel."""
    from bench.ablation.layers import Layer
    from bench.ablation.yamlfile import ConfigError
    from bench.ranking import listed

    layer = Layer()
    layer.assign(sets)
    asked = layer.part("truth")
    if layer.data:
        raise ConfigError(
            f"--set {next(iter(layer.data))}: with --scores only truth.KEY is asked for"
        )
    asked.data.setdefault("name", "analog")
    truth = asked.member("truth", within="truth").load()
    found = listed.rank(listed.read(path, truth, column), truth, lower_is_better=lower)
    if output is not None:
        found.table.to_csv(output, index=False)
    numbers = found.flat()
    if as_json:
        print(json.dumps(finite(numbers)))
        return
    print(f"{path.name}: {numbers['n']} cells, protocol {found.digest}")
    print(f"against {truth.dataset} {truth.split}, {truth.budget} epochs: {truth.provenance}")
    if found.unknown:
        print(f"{found.unknown} cells of the file have no truth and are left out")
    low, high = numbers["tau_low"], numbers["tau_high"]
    print(f"\n{'tau':18} {numbers['tau']:9.3f}   95 % [{low:.3f}, {high:.3f}]")
    for key, value in found.panel.values.items():
        print(f"{key:18} {value:9.3f}")
    for key, why in found.panel.reasons.items():
        print(f"  {key}: {why}")


def _default() -> Protocol:
    from bench.ranking.protocol import Protocol

    return Protocol()


def _many(runs: list[Path], protocol: Path, output: Path | None, as_json: bool) -> None:
    """Rank several runs under every protocol of a file."""
    from bench.ranking.sweep import read_protocols, sweep

    table = sweep(
        runs,
        lambda own: read_protocols(protocol, own),
        notify=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if output is not None:
        from bench.report.table import as_csv  # late: saves start-up time

        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(as_csv(table, "%.4f"), encoding="utf-8")
        print(f"wrote {output}", file=sys.stderr)
    print(table.to_json(orient="records") if as_json else sensitivity(table, protocol))


def sensitivity(table: pd.DataFrame, protocol: Path) -> str:
    """Return a Markdown table: τ by variant and protocol.

    The mean over seeds with their range; of one seed its bootstrap interval over cells.
    """
    from bench.ranking.sweep import read_protocols

    varied = list(read_protocols(protocol, _default())[0][0])
    lines = [
        "| " + " | ".join(["variant", *varied, "seeds", "τ accuracy", "τ loss", "τ params"]) + " |",
        "|" + "---|" * (len(varied) + 5),
    ]
    for key, rows in table.groupby(["label", *varied], sort=False):
        cells = [str(part) for part in (key if isinstance(key, tuple) else (key,))]
        numbers = []
        for name in ("tau", "tau_loss"):
            spread = (
                f"({rows[name].min():.3f} to {rows[name].max():.3f})"
                if len(rows) > 1
                else f"[{rows[f'{name}_low'].iloc[0]:.3f}, {rows[f'{name}_high'].iloc[0]:.3f}]"
            )
            numbers.append(f"{rows[name].mean():.3f} {spread}")
        end = [str(len(rows)), *numbers, f"{rows['tau_parameters'].mean():.3f}"]
        lines.append("| " + " | ".join([*cells, *end]) + " |")
    closing = (
        "(least to greatest) over seeds; [95 % bootstrap interval over cells] where there is one."
    )
    return "\n".join([*lines, "", closing])


def _one(
    run: Path, protocol: Path | None, sets: list[str], output: Path | None, as_json: bool
) -> None:
    """Rank one run and show the whole panel."""
    from bench.ablation.yamlfile import ConfigError
    from bench.ranking.measure import measure
    from bench.runs import store
    from bench.runs.reopen import reopen
    from bench.runs.run import arithmetic

    spec = store.read_spec(run)
    own = spec.settings.ranking or _default()
    chosen, truth = read_protocol(own, spec.settings.truth, protocol, sets)
    if truth is None:
        raise ConfigError("truth: the run has none; give one with --set truth.name=...")
    settings = spec.settings.model_copy(update={"truth": truth, "ranking": chosen})
    spec = spec.model_copy(update={"settings": settings})
    with arithmetic(spec):
        setup, state = reopen(run, spec)
        found = measure(setup, state, chosen)
    numbers = found.flat()
    same = (store.read_result(run) or {}).get("protocol") == found.digest
    if output is not None:
        from bench.report.table import as_csv  # late: saves start-up time

        output.write_text(as_csv(found.table), encoding="utf-8")
    if as_json:
        print(json.dumps(finite(numbers | {"same_protocol_as_run": same})))
        return
    what = f"{numbers['ranked']} architectures, protocol {found.digest}"
    print(f"{spec.label} seed {spec.seed}, {what}")
    if not same:
        print("not the run's own protocol: its τ must not be compared with the run's")
    columns = {"accuracy": found.accuracy.flat(), "loss": found.loss.flat()}
    print(f"\n{'score':18} {'accuracy':>9} {'−loss':>9}")
    for key, value in columns["accuracy"].items():
        if isinstance(value, float):
            print(f"{key:18} {value:9.3f} {columns['loss'][key]:9.3f}")
    connected = [numbers[f"{name}_tau_connected"] for name in columns]
    print(f"{'tau, connected':18} {connected[0]:9.3f} {connected[1]:9.3f}")
    for key, why in found.accuracy.reasons.items():
        print(f"  {key}: {why}")


def read_protocol(
    own: Protocol, truth: TruthSource | None, path: Path | None, sets: list[str]
) -> tuple[Protocol, TruthSource | None]:
    """Return the protocol and truth that the options ask for, beginning with the run's own."""
    from pydantic import create_model

    from bench.ablation.layers import Layer
    from bench.contracts import registry
    from bench.ranking.protocol import Protocol
    from bench.ranking.sweep import read_protocols
    from bench.search.settings import TruthField

    protocol = own
    if path is not None:
        ((_, protocol),) = read_protocols(path, own)
    asked = create_model("Ranking", __base__=Protocol, truth=(TruthField | None, None))
    layer = Layer({"truth": registry.dump(truth) if truth else None})
    layer.data |= protocol.model_dump(mode="json")
    layer.assign(sets)
    found: Any = layer.read(asked)
    return Protocol.model_validate(found.model_dump(exclude={"truth"})), found.truth
