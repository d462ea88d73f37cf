"""`bench run`: run or resume an ablation, watch it, show the table."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.ablation.file import Ablation
    from bench.decision.growth import Growth
    from bench.runs.campaign import Campaign
    from bench.runs.spec import RunSpec

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The ablation (YAML).")]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="How large: smoke, quick, laptop, paper.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Where runs are kept.")]
SeedsOption = Annotated[
    str | None,
    typer.Option("--seeds", help="A count, or a list such as 0,3,7; `3,` is seed 3 alone."),
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
UntilOption = Annotated[
    bool,
    typer.Option(
        "--until-decided", help="Add pairs of seeds until the contrast is decided, at most 64."
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget", help="Until decided, but within a time (5m), a number of seeds (40) or both."
    ),
]
OffsetOption = Annotated[
    int, typer.Option("--seed-offset", min=0, help="Added to every seed: the same, asked again.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(run)


def resolve(
    file: Path,
    profile: str,
    seeds: str | None,
    sets: list[str] | None,
    device: str | None,
    until_decided: bool = False,
    budget: str | None = None,
    seed_offset: int = 0,
) -> Ablation:
    """Read the ablation as the options ask for it."""
    from bench.ablation.file import read_ablation
    from bench.ablation.yamlfile import ConfigError
    from bench.executors._options import split

    if seeds is not None and (until_decided or budget is not None):
        raise ConfigError(
            "--seeds: fixes how many seeds there are; leave it out with --until-decided or "
            "--budget (--budget 40 means 40 seeds at most)"
        )
    chosen = [*split(sets or [])[1], *([f"device={device}"] if device else [])]
    until = budget if budget is not None else "" if until_decided else None
    found = read_ablation(file, profile, chosen, seeds, until=until, seed_offset=seed_offset)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    return found


def narrow(
    ablation: Ablation, only: list[str] | None, asked: bool = False, shard: str | None = None
) -> Ablation:
    """Refuse labels that the file does not have; fix the seeds where nothing can be decided.

    Parameters
    ----------
    asked
        Whether the command line, not the profile, wants seeds until it is decided.
    shard
        The share of the runs that is asked for, if one is.
    """
    from bench.ablation.yamlfile import ConfigError
    from bench.contracts.registry import did_you_mean

    labels = [arm.label for arm in ablation.arms]
    for label in only or []:
        if label not in labels:
            raise ConfigError(
                f"--only {label}: no such variant in {ablation.path}; {did_you_mean(label, labels)}"
            )
    until, contrast = ablation.until, ablation.contrast
    if until is None or asked:
        return ablation
    if shard is not None:
        why = "--shard runs a share, which decides nothing by itself"
    elif only and not {contrast.of, contrast.against} <= set(only):
        why = "--only leaves out an arm of the contrast, so that nothing can be decided"
    else:
        return ablation
    seeds = ablation.seeds[: until.least]
    print(
        f"note: {why}: {len(seeds)} "
        f"{'seed' if len(seeds) == 1 else 'seeds'} (--seeds N for others)",
        file=sys.stderr,
    )
    return replace(ablation, seeds=seeds, until=None)


def run(
    file: FileArgument,
    profile: ProfileOption = "quick",
    output: OutputOption = None,
    seeds: SeedsOption = None,
    until_decided: UntilOption = False,
    budget: BudgetOption = None,
    seed_offset: OffsetOption = 0,
    only: OnlyOption = None,
    executor: Annotated[
        str, typer.Option("--executor", help="inline, processes or slurm.")
    ] = "processes",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side.")
    ] = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", help="Only a share of the runs: 2/8, or auto/8 as the queue says."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is done.")] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option("--reuse", help="Copy runs of the same identity from this output folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run or resume an ablation; ends with the table, the page and the next command."""
    from bench.contracts.executor import Job
    from bench.executors._options import make
    from bench.report.growing import grow
    from bench.runs import store
    from bench.runs.campaign import Campaign
    from bench.runs.contents import Contents
    from bench.runs.progress import Watch
    from bench.runs.record import record
    from bench.runs.spec import default_output, plan
    from bench.training.fit import refuse_small_for_supernet

    campaign = Campaign(Path(), ())
    try:
        ablation = resolve(file, profile, seeds, sets, device, until_decided, budget, seed_offset)
        ablation = narrow(ablation, only, until_decided or budget is not None, shard)
        chosen = make(executor, jobs, sets or [])
        hashes = Contents()
        specs = plan(ablation, only or (), hashes)
        if shard is not None:
            specs = shared(ablation, specs, shard)
        for spec in {spec.settings.data: spec for spec in specs}.values():
            # Missing images or truth, and too small images, are said before anything starts.
            images = spec.settings.data.load()
            for space in {s.settings.space for s in specs if s.settings.data == spec.settings.data}:
                refuse_small_for_supernet(space, images)
        for settings in {
            (s.truth, s.space, s.data): s for s in (spec.settings for spec in specs)
        }.values():
            settings.load_truth()
        for doubt in truth_doubts(specs):
            print(f"warning: {doubt}", file=sys.stderr)
        root = output or inside_project(default_output(ablation))
        campaign = Campaign(root, specs if ablation.until is None else [], contents=hashes)
        for source in reuse or ():
            copied = store.reuse(source, {campaign.folder(spec): spec for spec in specs})
            print(f"{len(copied)} runs reused from {source}", file=sys.stderr)
        growth = None
        if ablation.until is not None:
            side_by_side = chosen.slots(Job(spec=specs[0], folder=root))
            growth = grow(ablation, campaign, specs, side_by_side)
        # First, so that `status` knows what is to come.
        left = record(ablation, campaign.specs, root, command(), hashes)
        if left:
            print(
                f"{root}: {len(left)} runs of these variants with other settings stay there, and "
                "off the tables",
                file=sys.stderr,
            )
        with Watch(campaign, None if growth is None else lambda: growth.status) as watch:
            campaign.run(
                chosen, watcher(ablation, campaign, root, watch), force=force, growth=growth
            )
        if not (campaign.full or campaign.interrupted):
            if ablation.until is not None:
                record(ablation, campaign.specs, root, command(), hashes, final=True)
            finish(root, campaign, as_json, growth)
    except KeyboardInterrupt:
        campaign.interrupted = True
    except OSError as error:
        campaign.stop(error)
    raise typer.Exit(ended(campaign))


def shared(ablation: Ablation, specs: Sequence[RunSpec], shard: str) -> list[RunSpec]:
    """Return this machine's share of the runs; the folders of all are joined by `bench merge`."""
    from bench.ablation.yamlfile import ConfigError
    from bench.runs.shard import read, share

    if ablation.until is not None:
        raise ConfigError("--shard: shares are of runs that are fixed; leave out --until-decided")
    index, number = read(shard)
    mine = share(specs, index, number)
    print(f"share {index} of {number}: {len(mine)} of {len(specs)} runs", file=sys.stderr)
    if not mine:
        raise typer.Exit(0)
    return mine


def truth_doubts(specs: Sequence[RunSpec]) -> list[str]:
    """Say what is missing in the truths that the runs need, or cannot be right there."""
    from bench.truth._doubts import doubts

    found: dict[str, None] = {}
    distinct = {
        id(spec.settings): spec.settings for spec in specs
    }  # the seeds of an arm share them
    for settings in {(s.truth, s.space, s.data, s.ranking): s for s in distinct.values()}.values():
        if settings.truth is None or not settings.truth.doubtful or not settings.truth.ranks:
            continue
        truth, ranking = settings.load_truth(), settings.ranking
        assert truth is not None
        population = None if ranking is None else ranking.population
        found |= dict.fromkeys(doubts(truth, settings.space, population))
    return list(found)


def watcher(
    ablation: Ablation, campaign: Campaign, root: Path, watch: Callable[[], None]
) -> Callable[[], None]:
    """Return what is called while waiting: progress, and the manifest where runs were added."""
    from bench.runs.record import record

    listed = [len(campaign.specs)]

    def look() -> None:
        if len(campaign.specs) != listed[0]:
            listed[0] = len(campaign.specs)
            record(ablation, campaign.specs, root, command(), campaign.contents)
        watch()

    return look


def notices(campaign: Campaign) -> None:
    """Say, once each, what a reader of the results would want to know of how they were made."""
    from bench.runs.index import rows
    from bench.runs.made import problems
    from bench.runs.sources import outdated

    kept = {folder.name for folder in campaign.cached}
    for name, folders in outdated(campaign.root, kept).items():
        since = "this run" if len(folders) == 1 else f"{len(folders)} of these runs"
        print(f"{name} changed since {since}; --force runs it again", file=sys.stderr)
    now = {folder.name for folder in campaign.ended}
    for reason in problems([row for row in rows(campaign.root) if row["folder"] in now]):
        print(f"no compiled kernel: {reason}; PyTorch did its work", file=sys.stderr)


def inside_project(path: Path) -> Path:
    """Return a path that was not named by the user; refuse it where a link leads out of here."""
    if not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise ValueError(f"{path} leads to {path.resolve()}, out of here; name it with --output")
    return path


def ended(campaign: Campaign) -> int:
    """Say how to go on where something is left to do; return the exit code."""
    from bench import cli
    from bench.contracts.executor import Outcome

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
    stopped = [s for s in campaign.ended.values() if s is Outcome.STORAGE]
    if stopped or campaign.error:
        what = campaign.error or f"{len(stopped)} runs were stopped by an error of the storage"
        print(
            f"error: {what}; finished runs and checkpoints are kept; resume with: {command()}",
            file=sys.stderr,
        )
        return cli.FAILED
    fine = {Outcome.OK, Outcome.INTERRUPTED} if campaign.enough else {Outcome.OK}
    return cli.FAILED if any(s not in fine for s in campaign.ended.values()) else cli.OK


def command() -> str:
    """Return the command line as it can be typed again."""
    return "python -m bench " + " ".join(shlex.quote(word) for word in sys.argv[1:])


def finish(root: Path, campaign: Campaign, as_json: bool, growth: Growth | None = None) -> None:
    """Print the table, write the page, say what to do next."""
    from bench import terminal
    from bench.report.page import write_page
    from bench.report.summary import Summary
    from bench.report.table import as_text

    notices(campaign)
    summary = Summary.read(root)
    if as_json:
        print(summary.as_json())
    else:
        as_text(summary)
        print(f"page    {write_page(summary, root / 'report.html')}")
        kept, now = len(campaign.cached), len(campaign.ended)
        print(f"runs    {root} ({kept} kept from before, {now} run now)")
        if growth is not None and (goes_on := longer(growth, summary.verdict.more)):
            print(f"next    {goes_on}    (keeps what is done, and goes on)")
        else:
            to_come = terminal.command("report", root, "--md")
            print(f"next    {to_come}    (also --tex, --csv, --json)")


def longer(growth: Growth, more: int | None) -> str:
    """Return the same command with the time that an answer would take; empty where it has one.

    Parameters
    ----------
    more
        Pairs that it takes if they go on as they did; None: out of reach.
    """
    if growth.decision().decided or not more or not math.isfinite(growth.pair_seconds()):
        return ""
    minutes = math.ceil(1.2 * max(growth.pair_seconds(), 1.0) * more / 60)  # they vary
    words = [word for word in sys.argv[1:] if not word.startswith("--budget=")]
    if "--budget" in words:
        at = words.index("--budget")
        del words[at : at + 2]
    from bench import terminal

    return terminal.command(*words, "--budget", f"{minutes}m")
