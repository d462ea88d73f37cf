"""`bench reproduce`: a published table, claimed beside obtained, with the pass band stated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.written import finite

if TYPE_CHECKING:
    from bench.papers.logs import LogTable


def register(app: typer.Typer) -> None:
    """Add the command of this file to the application."""
    app.command("reproduce")(reproduce)


def reproduce(
    table: Annotated[
        str | None, typer.Argument(help="A published table; --list names them.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Name the published tables.")] = False,
    runs: Annotated[int, typer.Option(min=1, help="Runs of every black-box search.")] = 500,
    budget: Annotated[int, typer.Option(min=1, help="Evaluations per black-box search.")] = 110,
    truth: Annotated[
        Path | None,
        typer.Option(envvar="BENCH_NB201", help="NAS-Bench-201 accuracies as CSV or parquet."),
    ] = None,
    logs: Annotated[
        Path | None,
        typer.Option(
            envvar="BENCH_ROBUSTDARTS", help="The folder of published search logs, for *-logs."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Records for a program to read.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="A folder for summary.md and summary.csv.")
    ] = None,
) -> None:
    """Show a published table beside what is obtained; rows that need a GPU say so."""
    import json

    from bench import papers

    if show:
        tables = {name: papers.load(name) for name in papers.names()}
        if as_json:
            titles = [{"name": name, "title": paper.title} for name, paper in tables.items()]
            typer.echo(json.dumps(titles, indent=2, ensure_ascii=False))
            return
        for name, paper in tables.items():
            typer.echo(f"{name}: {paper.title} ({len(paper.rows)} rows)")
        return
    if table is None:
        raise ValueError(f"name a published table: {', '.join(papers.names())}")
    paper = papers.load(table)
    if not isinstance(paper, papers.PaperTable):
        _replay(table, paper, logs, as_json, output)
        return
    needs_truth = any(row.obtain.gpu_hours is None for row in paper.rows)
    from bench.papers import reproduce as reproduction
    from bench.papers import summary

    if needs_truth and truth is None:
        raise ValueError(
            "no truth: name a table of all NAS-Bench-201 cells (CSV or parquet with the columns "
            f"{reproduction.COLUMNS}) with --truth or in BENCH_NB201"
        )
    worth = reproduction.load_table(truth) if needs_truth and truth is not None else None
    outcomes = reproduction.reproduce(
        paper,
        worth,
        runs=runs,
        budget=budget,
        progress=lambda method: typer.echo(f"{method} ...", err=True),
    )
    page = summary.to_markdown(table, paper, outcomes, worth, budget)
    if as_json:
        records = finite(summary.records(outcomes))
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
    else:
        typer.echo(page, nl=False)
    if output is not None:
        command = f"bench reproduce {table} --runs {runs} --budget {budget}"
        if truth is not None and needs_truth:
            command += f" --truth {_shown(truth)}"
        output.mkdir(parents=True, exist_ok=True)
        page += f"\nMade by `{command} --output {_shown(output)}`.\n"
        (output / "summary.md").write_text(page, encoding="utf-8")
        (output / "summary.csv").write_text(summary.to_csv(outcomes), encoding="utf-8")
        typer.echo(f"wrote {output / 'summary.md'} and {output / 'summary.csv'}", err=True)


def _replay(
    name: str, table: LogTable, logs: Path | None, as_json: bool, output: Path | None
) -> None:
    """Show claims about published search logs beside what the logs say."""
    import json

    from bench.papers import logs as replayed
    from bench.papers import logs_page

    if logs is None:
        raise ValueError(
            f"no logs: name the folder that holds {', '.join(replayed.FILES)} ({table.source}) with "
            "--logs or in BENCH_ROBUSTDARTS"
        )
    frame = replayed.read(logs)
    obtained = replayed.obtain(table, frame)
    page = logs_page.to_markdown(table, obtained, frame)
    told = [finite(record) for record in logs_page.records(obtained)]
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False) if as_json else page, nl=as_json)
    if output is not None:
        import pandas as pd

        output.mkdir(parents=True, exist_ok=True)
        command = f"bench reproduce {name} --logs {_shown(logs)} --output {_shown(output)}"
        (output / "summary.md").write_text(f"{page}\nMade by `{command}`.\n", encoding="utf-8")
        # Counted and replayed numbers; what was published stays with those who published it.
        tables = {
            "summary.csv": pd.DataFrame(told),
            "searches.csv": frame.drop(columns="error"),
        }
        for file, content in tables.items():
            content.to_csv(output / file, index=False, float_format="%.6g")
        typer.echo(f"wrote {output}/summary.md, summary.csv and searches.csv", err=True)


def _shown(path: Path) -> str:
    """Return a path that names no machine: as given where relative, else its last part."""
    return path.name if path.is_absolute() else path.as_posix()
