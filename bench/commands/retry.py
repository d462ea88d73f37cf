"""`bench retry`: run again what failed, was killed or never started, from the folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.run import JsonOption
from bench.written import one_line

if TYPE_CHECKING:
    from bench.runs.campaign import Campaign
    from bench.runs.spec import RunSpec


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(retry)


def retry(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output folder of `bench run`.")
    ],
    executor: Annotated[
        str, typer.Option("--executor", help="inline, processes or slurm.")
    ] = "processes",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side.")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="The executor's settings: slurm.time=60.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run what is not done: failed runs from the start, the others from their checkpoint."""
    from bench.ablation.yamlfile import ConfigError
    from bench.commands.run import ended, finish
    from bench.executors._options import make, split
    from bench.runs.campaign import Campaign
    from bench.runs.progress import Watch

    if other := split(sets or [])[1]:
        raise ConfigError(
            f"--set {other[0]}: what a run does is settled by its folder; only the executor's "
            "settings can be set here, e.g. processes.jobs=2"
        )
    chosen = make(executor, jobs, sets or [])
    campaign = Campaign(directory, planned(directory))
    refuse_others(campaign)
    try:
        with Watch(campaign) as watch:
            campaign.run(chosen, watch)
        if not (campaign.full or campaign.interrupted):
            finish(directory, campaign, as_json)
    except KeyboardInterrupt:
        campaign.interrupted = True
    except OSError as error:
        campaign.stop(error)
    raise typer.Exit(ended(campaign))


def refuse_others(campaign: Campaign) -> None:
    """Refuse, before anything starts, to go on with other images or another truth.

    Raises
    ------
    ValueError
        One line that names the run and what is missing or another.
    """
    from bench.runs import store
    from bench.runs.contents import Contents, refuse_changed

    hashes = Contents()
    for spec in campaign.specs:
        if not store.done(campaign.folder(spec)):
            refuse_changed(spec.folder, spec.contents, hashes.of(spec.settings))


def planned(root: Path) -> list[RunSpec]:
    """Return every run that an output folder was to hold.

    Raises
    ------
    ValueError
        Where what the folder says of a run does not lead to the run of that name.
    """
    from bench.contracts import registry
    from bench.devices import resolve_device
    from bench.runs import store
    from bench.runs.manifest import FOLDER, MANIFEST, read_manifest
    from bench.runs.spec import RunSpec

    manifest = read_manifest(root)
    arms = {arm["label"]: arm for arm in manifest["arms"]}
    specs = []
    for name in manifest["runs"]:
        try:
            specs.append(store.read_spec(root / name))
            continue
        except ValueError:  # never started, or damaged: the manifest says it as well
            named = FOLDER.fullmatch(name)
        if named is None or named["label"] not in arms:
            raise ValueError(f"{root / MANIFEST}: runs: {name!r}: no such variant in `arms`")
        arm = arms[named["label"]]
        try:
            device = resolve_device(arm["settings"]["device"]).type
            spec = RunSpec(
                ablation=manifest["name"],
                label=named["label"],
                seed=int(named["seed"]),
                variants=tuple(registry.parse("variants", v) for v in arm["variants"]),
                settings={**arm["settings"], "device": device},
                contents=arm.get("contents", {}),
            )
        except (KeyError, TypeError, ValueError) as error:
            reason = one_line(error, 160)
            raise ValueError(f"{root / MANIFEST}: arms: {named['label']}: {reason}") from None
        if spec.folder != name:
            raise ValueError(
                f"{root / MANIFEST}: runs: {name!r}: its settings lead to {spec.folder}; "
                "use `python -m bench run` with the ablation file"
            )
        specs.append(spec.foreign(root / MANIFEST))
    return specs
