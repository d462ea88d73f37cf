"""`bench rank`: rank a stored checkpoint again, under another protocol or truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bench.ranking.protocol import Protocol
    from bench.truth import TruthSource


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(rank)


def rank(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    protocol: Annotated[
        Path | None, typer.Option("--protocol", "-p", help="A YAML file with a protocol's fields.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field: batch_norm=recalibrated, truth.column=..."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also keep every score (parquet).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Rank the supernet of a finished run: the panel with intervals, ceiling, baseline and hash."""
    from bench import store
    from bench.execute import arithmetic
    from bench.ranking.measure import measure
    from bench.ranking.protocol import Protocol
    from bench.reopen import reopen
    from bench.yamlfile import ConfigError

    spec = store.read_spec(run)
    chosen, truth = read_protocol(
        spec.settings.ranking or Protocol(), spec.settings.truth, protocol, sets or []
    )
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
        found.table.to_parquet(output, index=False)
    if as_json:
        print(json.dumps(store.finite(numbers | {"same_protocol_as_run": same})))
        return
    print(
        f"{spec.label} seed {spec.seed}, {numbers['ranked']} architectures, protocol {found.digest}"
    )
    if not same:
        print("not the run's own protocol: its τ must not be compared with the run's")
    for name, panel in (("accuracy", found.accuracy), ("negative loss", found.loss)):
        print(f"\nby {name}")
        for key, value in panel.flat().items():
            if isinstance(value, float):
                print(f"  {key:18} {value:8.3f}")
        for key, why in panel.reasons.items():
            print(f"  {key}: {why}")
    print(f"\nparameter-count τ {numbers['tau_parameters']:.3f} on the same architectures")
    print(f"connected cells only: {numbers['accuracy_tau_connected']:.3f} by accuracy, "
          f"{numbers['loss_tau_connected']:.3f} by loss")  # fmt: skip


def read_protocol(
    own: Protocol, truth: TruthSource | None, path: Path | None, sets: list[str]
) -> tuple[Protocol, TruthSource | None]:
    """Return the protocol and truth that the options ask for, beginning with the run's own."""
    from pydantic import ValidationError

    from bench import registry
    from bench.config import assignment, first_error
    from bench.ranking.protocol import Protocol
    from bench.yamlfile import ConfigError, dotted, load

    fields: dict[str, Any] = own.model_dump(mode="json")
    where = "--set"
    if path is not None:
        document = load(path)
        if not isinstance(document.data, dict):
            raise ConfigError(f"{path}:1: a protocol is a mapping of its fields")
        fields, where = document.data, str(path)
    changed: dict[str, Any] = {"truth": registry.dump(truth) if truth else {}, **fields}
    for text in sets:
        key, value = assignment(text)
        if key == ("truth", "name") and changed["truth"].get("name") != value:
            changed["truth"] = {}
        target = changed
        for part in key[:-1]:
            target = target.setdefault(str(part), {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {text}: {part} is not a mapping")
        target[str(key[-1])] = value
    chosen = changed.pop("truth")
    try:
        source: TruthSource | None = registry.parse("truth", chosen) if chosen else None
        return Protocol.model_validate(changed), source
    except ValidationError as error:
        place, message = first_error(error)
        raise ConfigError(f"{where}: {dotted(place)}: {message}") from None
