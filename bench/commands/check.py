"""`bench check`: has search quality regressed? Exit 3 where it has, or where the search changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.written import finite

BaselinesOption = Annotated[
    Path, typer.Option("--baselines", help="The folder of gate.json and history.jsonl.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Searches side by side.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(check)


def check(
    baselines: BaselinesOption = Path("results/baselines"),
    jobs: JobsOption = 2,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the deterministic layer, about ten seconds.")
    ] = False,
    draw: Annotated[
        str | None,
        typer.Option("--draw", help="What fresh seeds derive from; the commit if not notify."),
    ] = None,
    speed: Annotated[
        Path | None, typer.Option("--speed", help="A pytest-benchmark JSON to track beside it.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write a summary for a pull request.")
    ] = None,
    benchmark_json: Annotated[
        Path | None,
        typer.Option("--benchmark-json", help="Write JSON for github-action-benchmark."),
    ] = None,
    trend: Annotated[
        Path | None, typer.Option("--trend", help="Write the page over all commits (HTML).")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the outcome in the history.")
    ] = False,
    history: Annotated[
        Path | None,
        typer.Option("--history", help="Where --record writes; also read for the trend."),
    ] = None,
    only_trend: Annotated[
        bool, typer.Option("--only-trend", help="Write the page; check nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Compare the working tree with the recorded baseline: traces, invariants, a bank of seeds."""
    import json

    from bench import cli
    from bench.gate import baseline as recorded
    from bench.gate import render
    from bench.gate import speed as timings
    from bench.gate.check import check as run
    from bench.gate.trend import write_trend

    own = baselines / recorded.HISTORY
    kept = own if history is None else history
    if only_trend:
        if trend is None:
            raise ValueError("--only-trend: say where with --trend FILE")
        print(f"trend   {write_trend(recorded.history(own, kept), trend)}")
        return
    base = recorded.read(baselines)
    timed = timings.read(speed) if speed is not None else None
    drawn = draw or recorded.provenance()["commit"] or "no commit"

    def notify(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    report = run(base, drawn, jobs=jobs, quick=quick, speed=timed, notify=notify)
    if record:
        recorded.append(kept, report.line())
    for path, content in (
        (markdown, render.markdown(report)),
        (benchmark_json, render.benchmark_json(report)),
    ):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            notify(f"wrote   {path}")
    if trend is not None:
        lines = recorded.history(own, kept)
        notify(f"trend   {write_trend(lines if record else [*lines, report.line()], trend)}")
    print(json.dumps(finite(report.line())) if as_json else render.text(report))
    if report.verdict != "green":
        raise typer.Exit(cli.REGRESSION)
