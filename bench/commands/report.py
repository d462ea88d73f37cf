"""`bench report`: the page of an output folder, the index over several, and the exports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.report.summary import Summary


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(report)


def report(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="An output folder of `bench run`, or a folder of them."),
    ],
    md: Annotated[bool, typer.Option("--md", help="Also write report.md.")] = False,
    tex: Annotated[bool, typer.Option("--tex", help="Also write report.tex.")] = False,
    columns: Annotated[
        str,
        typer.Option(
            "--columns",
            metavar="A,B,...",
            help="Of report.tex, in this order: finished, difference, p, and metrics.",
        ),
    ] = "",
    csv: Annotated[
        bool, typer.Option("--csv", help="Also write variants, runs and history as CSV.")
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write every table as parquet, scores included.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON instead of tables.")
    ] = False,
) -> None:
    """Write the page of an ablation (or of each, with an index) and print its tables."""
    from bench.report.index import ablations, write_index
    from bench.report.page import write_page
    from bench.report.summary import Summary
    from bench.runs.manifest import MANIFEST

    if columns and not tex:
        raise ValueError("--columns: of the table that --tex writes; ask for that too")
    if not directory.is_dir():
        raise ValueError(f"{directory}: no such folder")
    alone = (directory / MANIFEST).exists()
    roots = [directory] if alone else ablations(directory)
    if not roots:
        raise ValueError(
            f"{directory}: neither it nor a folder in it holds {MANIFEST}; `bench run` writes one"
        )
    entries: list[tuple[Path, Summary | str]] = []
    for root in roots:
        try:
            summary = Summary.read(root)
        except ValueError as error:
            if alone:
                raise
            entries.append((root / "report.html", str(error)))
            continue
        entries.append((root / "report.html", summary))
    say(entries, as_json=as_json, alone=alone)  # first: it needs no place to write to
    # With --json stdout belongs to the program that reads it.
    to = sys.stderr if as_json else sys.stdout
    index = None
    try:
        for page, found in entries:
            if not isinstance(found, str):
                write_page(found, page)
                wanted = [name.strip() for name in columns.split(",") if name.strip()]
                export(found, md=md, tex=tex, csv=csv, parquet=parquet, columns=wanted)
        index = None if alone else write_index(entries, directory / "index.html")
    except OSError as error:
        print(f"warning: no page: {error.filename}: {error.strerror}", file=sys.stderr)
        # Who asked for JSON alone has it.
        if not as_json or md or tex or csv or parquet:
            raise typer.Exit(1) from None
        return
    for page, found in entries:
        print(f"page    {page}" if not isinstance(found, str) else f"error   {found}", file=to)
    if index:
        print(f"index   {index}", file=to)
    if any(isinstance(found, str) for _, found in entries):
        raise typer.Exit(1)


def export(
    summary: Summary, *, md: bool, tex: bool, csv: bool, parquet: bool, columns: list[str]
) -> None:
    """Write what was asked for beside the page."""
    from bench.files import write_atomically
    from bench.report.table import as_csv, as_markdown
    from bench.report.tex import as_tex

    files: dict[str, str] = {}
    if md:
        files["report.md"] = as_markdown(summary)
    if tex:
        files["report.tex"] = as_tex(summary, columns)
    if csv:
        files |= {
            "variants.csv": as_csv(summary.variants),
            "runs.csv": as_csv(summary.runs),
            "history.csv": as_csv(summary.history),
        }
    for name, text in files.items():
        write_atomically(summary.root / name, text.encode())
        print(f"wrote   {summary.root / name}", file=sys.stderr)
    if parquet:
        from bench.exports import load

        print(f"wrote   {load('parquet')(summary, str(summary.root))}", file=sys.stderr)


def say(entries: list[tuple[Path, Summary | str]], *, as_json: bool, alone: bool) -> None:
    """Print the results: one JSON document, or the tables of each ablation."""
    from bench.report.table import as_text

    found = [summary for _, summary in entries if not isinstance(summary, str)]
    if as_json:
        documents = [summary.as_json() for summary in found]
        print(documents[0] if alone else f"[{', '.join(documents)}]")
        return
    for summary in found:
        if not alone:
            print(f"== {summary.root}")
        as_text(summary)
