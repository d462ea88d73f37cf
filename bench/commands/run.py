"""`bench run`: run or resume an ablation, watch it, show the table."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.ablation.file import Ablation
    from bench.runs.campaign import Campaign

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The ablation (YAML).")]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="How large: smoke, quick, laptop, paper.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Where runs are kept.")]
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", help="A count, or a list such as 0,3,7.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Only this variant (repeatable).")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a setting, search.epochs=5, or the executor's, slurm.time=60."
    ),
]
DeviceOption = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(run)


def resolve(
    file: Path, profile: str, seeds: str | None, sets: list[str] | None, device: str | None
) -> Ablation:
    """Read the ablation as the options ask for it."""
    from bench.ablation.file import read_ablation
    from bench.executors._options import split

    chosen = [*split(sets or [])[1], *([f"device={device}"] if device else [])]
    return read_ablation(file, profile, chosen, seeds)


def check_only(ablation: Ablation, only: list[str] | None) -> None:
    """Refuse labels that the file does not have."""
    from bench.ablation.yamlfile import ConfigError
    from bench.contracts.registry import did_you_mean

    labels = [arm.label for arm in ablation.arms]
    for label in only or []:
        if label not in labels:
            raise ConfigError(
                f"--only {label}: no such variant in {ablation.path}; {did_you_mean(label, labels)}"
            )


def run(
    file: FileArgument,
    profile: ProfileOption = "quick",
    output: OutputOption = None,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    executor: Annotated[
        str, typer.Option("--executor", help="inline, processes or slurm.")
    ] = "processes",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side.")
    ] = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is done.")] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option("--reuse", help="Copy runs of the same identity from this output folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run or resume an ablation; ends with the table, the page and the next command."""
    from bench.executors._options import make
    from bench.runs import store
    from bench.runs.campaign import Campaign
    from bench.runs.progress import Watch
    from bench.runs.spec import default_output, plan
    from bench.runs.store import FULL

    ablation = resolve(file, profile, seeds, sets, device)
    check_only(ablation, only)
    chosen = make(executor, jobs, sets or [])
    specs = plan(ablation, only or ())
    for spec in {spec.settings.data: spec for spec in specs}.values():
        spec.settings.data.load()  # missing images or truth are said before anything starts
    for settings in {
        (s.truth, s.space, s.data): s for s in (spec.settings for spec in specs)
    }.values():
        settings.load_truth()
    root = output or inside_project(default_output(ablation))
    campaign = Campaign(root, specs)
    for source in reuse or ():
        copied = store.reuse(source, {campaign.folder(spec): spec for spec in specs})
        print(f"{len(copied)} runs reused from {source}", file=sys.stderr)
    try:
        write_manifest(ablation, campaign, root)  # first, so that `status` knows what is to come
        with Watch(campaign) as watch:
            campaign.run(chosen, watch, force=force)
        if not (campaign.full or campaign.interrupted):
            finish(root, campaign, as_json)
    except KeyboardInterrupt:
        campaign.interrupted = True
    except OSError as error:
        if error.errno not in FULL:
            raise
        campaign.full = True
    raise typer.Exit(ended(campaign))


def inside_project(path: Path) -> Path:
    """Return a path that was not named by the user; refuse it where a link leads out of here."""
    if not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise ValueError(f"{path} leads to {path.resolve()}, out of here; name it with --output")
    return path


def ended(campaign: Campaign) -> int:
    """Say how to go on where something is left to do; return the exit code."""
    from bench import cli

    if campaign.full:
        print(
            f"error: no space left in {campaign.root}; finished runs and checkpoints are kept; "
            f"make room and resume with: {command()}",
            file=sys.stderr,
        )
        return cli.FAILED
    if campaign.interrupted:
        print(f"interrupted; resume with: {command()}", file=sys.stderr)
        return cli.INTERRUPTED
    return cli.FAILED if any(s != "ok" for s in campaign.ended.values()) else cli.OK


def command() -> str:
    """Return the command line as it can be typed again."""
    return "python -m bench " + " ".join(shlex.quote(word) for word in sys.argv[1:])


def write_manifest(ablation: Ablation, campaign: Campaign, root: Path) -> None:
    """Keep what was asked beside the runs, so that a report needs the folder alone."""
    from bench.contracts import registry
    from bench.runs import store
    from bench.runs.spec import plan

    # With --only or fewer seeds, what was run before of the same plan stays on the page.
    everything = [spec.folder for spec in plan(ablation)]
    kept = [folder for folder in everything if (root / folder / store.SPEC).exists()]
    store.write_json(
        root / "ablation.json",
        {
            "name": ablation.name,
            "question": ablation.question,
            "contrast": ablation.contrast.model_dump(),
            "explanation": ablation.explanation and ablation.explanation.model_dump(mode="json"),
            "profile": ablation.profile,
            "seeds": list(ablation.seeds),
            "command": command(),
            "arms": [
                {
                    "label": arm.label,
                    "variants": [registry.dump(variant) for variant in arm.interventions],
                    "settings": arm.settings.model_dump(mode="json"),
                }
                for arm in ablation.arms
            ],
            "runs": list(dict.fromkeys([*kept, *(spec.folder for spec in campaign.specs)])),
        },
    )


def finish(root: Path, campaign: Campaign, as_json: bool) -> None:
    """Print the table, write the page, say what to do next."""
    from bench.report.page import write_page
    from bench.report.summary import Summary
    from bench.report.table import as_text

    summary = Summary.read(root)
    if as_json:
        print(summary.as_json())
    else:
        page = write_page(summary, root / "report.html")
        as_text(summary)
        print(f"page    {page}")
        kept, now = len(campaign.cached), len(campaign.ended)
        print(f"runs    {root} ({kept} kept from before, {now} run now)")
        print(f"next    python -m bench report {root} --md    (also --tex, --csv, --json)")
