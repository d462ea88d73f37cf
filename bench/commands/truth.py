"""`bench truth`: import official files, train tables of one's own, say what one holds, verify it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

sub = typer.Typer(help="What architectures are really worth.", no_args_is_help=True)

Target = Annotated[
    str, typer.Argument(metavar="[NAME_OR_PATH]", help="A registered truth, or a table's path.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for a program to read.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the application."""
    app.add_typer(sub, name="truth")


@sub.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="NAS-Bench-201 .pth or its archive folder; NATS-Bench .pickle.pbz2 or its -simple folder."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The table; data/truth/<name>.parquet by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn an official benchmark file into a compact table; runs nothing of what the file says."""
    from bench.truth._official import import_official

    stem = file.name
    for suffix in (".pth", ".pbz2", ".pickle"):
        stem = stem.removesuffix(suffix)
    out = output or Path("data", "truth", f"{stem}.parquet")
    done = import_official(file, out, _Importing())
    if as_json:
        _json(done)
        return
    typer.echo(
        f"{done['trials']:,} trials of {done['cells']:,} cells of {done['benchmark']}, "
        f"{done['values']:,} measured values"
    )
    for measured, entry in done["measured"].items():
        seeds = ", ".join(f"{n:,} with {k}" for k, n in sorted(entry["cells_by_seeds"].items()))
        typer.echo(f"  {measured:20} {entry['trials']:>8,} trials; cells by seeds: {seeds}")
    for note in done["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"source sha256 {done['sha256']}")
    typer.echo(f"wrote {done['output']}; next: bench truth info {done['output']}")


class _Importing:
    """Says on stderr how far an import is and how long it will take, every few seconds."""

    def __init__(self) -> None:
        self.doing, self.began, self.next = "", 0.0, time.monotonic() + 3.0

    def __call__(self, doing: str, done: int, of: int) -> None:
        now = time.monotonic()
        if doing != self.doing:
            self.doing, self.began = doing, now
        if now < self.next:
            return
        self.next = now + 5.0
        share = done / max(1, of)
        left = f", about {(now - self.began) * (1 / share - 1):.0f} s left" if share > 0.02 else ""
        typer.echo(f"{doing}: {share:.0%}{left}", err=True)


@sub.command()
def tabulate(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as ablations/truth/*.yaml.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The table; data/truth/<recipe>.parquet by default."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Trainings side by side.")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: training.epochs=60.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train cells from scratch into a table; run it again to go on, or with more cells or seeds."""
    from bench.devices import cores
    from bench.training.tabulate import tabulate as train
    from bench.training.tabulation import read_recipe

    out = output or Path(f"data/truth/{recipe.stem}.parquet")
    if out.suffix in (".csv", ".tsv", ".json", ".txt", ".pkl", ".h5"):
        raise ValueError(
            f"--output {out}: a table is parquet; name it {out.with_suffix('.parquet')}"
        )
    if out.suffix != ".parquet":  # lr0.025 and lr0.05 are two names
        out = out.with_name(f"{out.name}.parquet")
    read = read_recipe(recipe, sets or [])
    try:
        done = train(read, out, jobs or cores(), _progress)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {out} holds what is done; run this again to go on", err=True)
        raise typer.Exit(130) from None
    for (cell, seed), message in done["failed"].items():
        typer.echo(f"failed: {cell} seed {seed}: {message}", err=True)
    if as_json:
        _json({**done, "failed": len(done["failed"]), "output": str(out)})
    else:
        typer.echo(f"{done['trials']:,} trials in {out}, {done['missing']:,} missing")
        typer.echo(f"next: bench truth info {out}")
    raise typer.Exit(1 if done["missing"] else 0)


def _progress(done: int, total: int) -> None:
    if done % max(1, total // 50) == 0 or done == total:
        typer.echo(f"{done:,} of {total:,} trials", err=True)


@sub.command()
def info(target: Target = "analog", as_json: AsJson = False) -> None:
    """Say what is there: coverage, best, mean, noise ceiling, hash."""
    from bench.truth._summary import summary, truths

    found = [summary(truth) for truth in truths(target)]
    if as_json:
        _json(found)
        return
    typer.echo(f"{'':26}{'cells':>7}{'unique':>8}{'seeds':>7}{'missing':>9}", nl=False)
    typer.echo(f"{'best':>8}{'mean':>8}{'ceiling':>9}")
    for entry in found:
        ceiling = "–" if entry["noise_ceiling"] is None else f"{entry['noise_ceiling']:.3f}"
        typer.echo(
            f"{entry['measured']:26}{entry['cells']:>7,}{entry['unique_cells']:>8,}"
            f"{entry['seeds']:>7}{entry['missing_trials']:>9,}{entry['best']:>8.2f}"
            f"{entry['mean']:>8.2f}{ceiling:>9}"
        )
    typer.echo("ceiling: τ-b of one training seed with another on the unique cells")
    typer.echo(f"{found[0]['provenance']}\nsha256 {found[0]['sha256']}")


@sub.command()
def query(
    cells: Annotated[
        list[str],
        typer.Argument(
            metavar="CELL...", help="A string, its operations (3,1,3,1,1,3), or its index."
        ),
    ],
    target: Annotated[
        str, typer.Option("--truth", help="A registered truth, or a table's path.")
    ] = "analog",
    as_json: AsJson = False,
) -> None:
    """Say all that is known of cells: accuracies by data set, epochs and seed; size; nearest cells."""
    from bench.truth._query import known, read_cell
    from bench.truth._summary import truths

    tables = list(truths(target))
    space = tables[0].space
    found = [known(read_cell(text, space), tables, space) for text in cells]
    if as_json:
        _json(found)
        return
    for one in found:
        typer.echo(one["cell"])
        index = f", index {one['index']}" if "index" in one else ""
        typer.echo(f"  operations {','.join(map(str, one['operations']))}{index}")
        size = f"{one['weights'] / 1e6:.3f} M weights, {one['multiply_adds'] / 1e6:.1f} M multiply-adds"
        skips = f"; {one['skip_count']} skips" if "skip_count" in one else ""
        typer.echo(f"  {size}{skips}; connected: {one['connected']}")
        for name, entry in one["measured"].items():
            if entry["mean"] is None:
                typer.echo(f"  {name}: not in the table")
                continue
            seeds = ", ".join("–" if s is None else f"{s:.2f}" for s in entry["seeds"])
            rank = (
                "" if entry["percentile"] is None else f", better than {entry['percentile']:.1f} %"
            )
            typer.echo(f"  {name}: {entry['mean']:.2f} % ({seeds}){rank}")
            for near in entry["nearest"]:
                worth = "–" if near["mean"] is None else f"{near['mean']:.2f} %"
                typer.echo(f"    {near['edges_apart']} edge(s) away: {worth} {near['cell']}")


@sub.command()
def fetch(
    name: Annotated[str, typer.Argument(help="nas-bench-201, nas-bench-201-v1_0, nats-bench-tss.")],
    to: Annotated[Path, typer.Option("--to", help="Where it is kept.")] = Path("data/official"),
) -> None:
    """Download an official file through torchvision and check the hash that its name holds."""
    from bench.truth._fetch import fetch as get

    path = get(name, to)
    typer.echo(f"{path}; next: bench truth import {path}")


@sub.command()
def verify(
    target: Target = "analog",
    source: Annotated[
        Path | None,
        typer.Option(help="The official file that the table was imported from: compare hashes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether a truth can be what it says; exit 1 when a check fails."""
    from bench.truth._summary import Check, checks, source_check, truths

    found: list[tuple[str, Check]] = []
    if source is not None:
        found.append((target, source_check(target, source)))
    for truth in truths(target):
        measured = f"{truth.dataset}_{truth.split}_{truth.budget}"
        found += [(measured, check) for check in checks(truth)]
    if as_json:
        _json([{"measured": m, "check": c.name, "ok": c.ok, "found": c.found} for m, c in found])
    else:
        words = {True: "ok", False: "FAILED", None: "note"}
        for measured, check in found:
            typer.echo(f"{words[check.ok]:7}{measured:26}{check.name}: {check.found}")
    if any(check.ok is False for _, check in found):
        raise typer.Exit(1)


def _json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
