"""`bench verdict`: the explanations of DARTS's failure, each confirmed, refuted or undecided."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(verdict)


def verdict(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Output folders of ablations/explanations/*.yaml."),
    ],
    to: Annotated[Path, typer.Option("--to", help="Where to write.")] = Path(
        "results/explanations"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Judge explanations by the rules in their ablation files; writes verdict.html and .md."""
    import json

    from bench.report.ruling import read
    from bench.report.ruling_page import write

    verdicts = read(directories)
    written = write(verdicts, to)
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "claim": v.explanation.claim,
                        "kind": v.kind,
                        "p": v.p,
                        "more": v.more,
                        "criteria": [
                            j.criterion.model_dump(mode="json")
                            | {"verdict": j.decision.kind, "differences": j.differences}
                            for j in v.criteria
                        ],
                    }
                    for v in verdicts
                ],
                indent=1,
            )
        )
        return
    for v in verdicts:
        print(f"{v.headline}: {v.explanation.claim}")
        for judged in v.criteria:
            print(f"  {judged.sentence}")
    for path in written:
        print(f"wrote   {path}")
