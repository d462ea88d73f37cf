"""The verdict page: one self-contained HTML file that reads like a section of results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from bench.files import write_atomically
from bench.metrics import bounds, number, p_text, plural
from bench.report import signals, svg
from bench.report.page import environment
from bench.report.ruling import Verdict, decimals, lead_table, markdown, meaning, scale
from bench.report.ruling_figures import LIMIT, forest, paths
from bench.report.table import as_csv
from bench.statistics import Interval, seeds_needed
from bench.written import MISSING

PAGE = "report.html"


def write(verdicts: Sequence[Verdict], to: Path) -> list[Path]:
    """Write ``verdict.html``, ``verdict.md`` and ``signals.csv`` into a folder; returns them."""
    found, searches = lead_table(verdicts)
    lead = _lead(found, searches)
    with svg.style():
        text = (
            environment()
            .get_template("verdict.html")
            .render(
                verdicts=[_entry(verdict, i, to) for i, verdict in enumerate(verdicts, start=1)],
                lead=lead,
                fewest=seeds_needed(len(verdicts)),
                fall=f"{signals.FALL:g}",
                limit=f"{LIMIT:g}",
            )
        )
    files = {
        "verdict.html": text,
        "verdict.md": f"{markdown(verdicts)}\n## Which signal leads the collapse?\n\n{_md(lead)}\n",
        "signals.csv": as_csv(found, "%.4f"),
    }
    for name, content in files.items():
        write_atomically(to / name, content.encode())
    return [to / name for name in files]


def _entry(verdict: Verdict, index: int, to: Path) -> dict[str, Any]:
    # A page that is kept beside the verdict goes along with it; else that of the output folder.
    kept = to / verdict.summary.manifest["name"] / PAGE
    page, rows = kept if kept.is_file() else verdict.summary.root / PAGE, []
    for judged in verdict.criteria:
        c, d = judged.criterion, judged.decision
        digits = decimals(c)
        rows.append(
            {
                "says": c.says,
                "sentence": judged.sentence,
                "metric": c.quantity,
                "meaning": meaning(c.metric),
                "kind": judged.word,
                "seeds": d.seeds,
                "role": c.role,
                "css": d.kind if c.role == "primary" else "",
                "beyond": d.beyond,
                "short": d.short,
                "when": "" if c.when is None else f"{c.when[0]:.0%} to {c.when[1]:.0%}",
                "effect": number(d.effect.estimate, digits, signed=True),
                "bounds": bounds(d.effect, digits, signed=True) or judged.listed or MISSING,
                "smallest": number(c.sign * c.smallest, digits, signed=True),
            }
        )
    return {
        "name": verdict.summary.manifest["name"],
        "kind": verdict.kind.replace(" ", "_"),
        "check": verdict.check,
        "headline": verdict.headline,
        "claim": verdict.explanation.claim,
        "p": p_text(verdict.p),
        "scale": scale(verdict.summary),
        "rows": rows,
        "forest": Markup(forest(verdict, f"forest{index}")),
        "paths": Markup(paths(verdict, f"paths{index}")),
        "link": Path(os.path.relpath(page, to)).as_posix() if page.is_file() else "",
        "command": verdict.summary.manifest.get("command", ""),
    }


def _lead(found: pd.DataFrame, searches: int) -> dict[str, Any]:
    """Put the table of signals into words."""
    if found.empty:
        text = (
            f"The true accuracy of the argmax cell fell by {signals.FALL:g} points in none of "
            f"{plural(searches, 'search')} of plain DARTS with readings: there is nothing to lead."
        ).replace("searchs", "searches")
        return {"text": text, "rows": []}
    falls = int(found["searches"].max())
    first = found.iloc[0]
    text = (
        f"In {falls} of {searches} searches of plain DARTS the true accuracy of the argmax cell "
        f"fell by at least {signals.FALL:g} points. The signal that led it most often is "
        f"{first['signal']}, in {first['leads']:.0%} of them"
    )
    if (lead := number(first["lead"], 1)) != MISSING:
        text += f", by {lead} epochs on average where it changed at all"
    rows = [
        {
            "signal": str(row["signal"]).replace("_", " "),
            "changes": f"{row['changes']} of {row['searches']}",
            "lead": number(row["lead"], 1, signed=True),
            "bounds": bounds(
                Interval(row["lead"], row["lead_low"], row["lead_high"]), 1, signed=True
            ),
            "leads": f"{row['leads']:.0%}",
            "leads_bounds": f"{row['leads_low']:.0%} to {row['leads_high']:.0%}",
        }
        for _, row in found.iterrows()
    ]
    return {"text": f"{text}.", "rows": rows}


def _md(lead: dict[str, Any]) -> str:
    lines = [lead["text"]]
    if lead["rows"]:
        names = list(lead["rows"][0])
        lines += ["", f"| {' | '.join(names)} |", "|---|" + "---:|" * (len(names) - 1)]
        lines += ["| " + " | ".join(str(row[n]) for n in names) + " |" for row in lead["rows"]]
    return "\n".join(lines)
