"""The page: one self-contained HTML file that answers the question of an ablation."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from bench.files import write_atomically
from bench.metrics import bounds, metric, plural
from bench.report import svg
from bench.report.appendix import FEW_RUNS, downloads, meanings, provenance
from bench.report.arms import describe
from bench.report.forest import differences
from bench.report.multiples import FEW_ARMS
from bench.report.notes import notes, stale
from bench.report.sections import sections
from bench.report.summary import Summary
from bench.report.table import COLUMNS, cells, headings, interval, sort_keys, value
from bench.written import MISSING

SHAPES = {
    "o": '<circle cx="6" cy="6" r="4.5"/>', "s": '<rect x="2" y="2" width="8" height="8"/>',
    "^": '<path d="M6 1.5 11 10.5H1z"/>', "D": '<path d="M6 .5 11.5 6 6 11.5.5 6z"/>',
    "v": '<path d="M6 10.5 11 1.5H1z"/>', "P": '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3z"/>',
    "X": '<path d="m1 3 2-2 3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z"/>',
    "*": '<path d="m6 0 1.6 4h4.2L8.4 6.6 9.7 11 6 8.4 2.3 11l1.3-4.4L.2 4h4.2z"/>',
}  # fmt: skip
RUN_COLUMNS = (
    "skip_count", "weight_free_share", "true_accuracy", "percentile", "regret", "tau", "tau_loss",
    "tau_parameters",
)  # fmt: skip
FOLDED_COLUMNS = frozenset({"percentile", "regret", "tau_loss", "cost_seconds"})
"""Columns that the reader opens: the others fit a window of 1,300 pixels."""
FEW_CELLS = 3
"""Cells of a variant that are drawn where there are many runs; one where variants are many, too."""
MANY_ROWS = 200
"""Runs from which on their table is opened on demand."""


def write_page(summary: Summary, path: Path) -> Path:
    """Write the page of one ablation; returns where it is."""
    write_atomically(path, render(summary).encode())
    return path


def render(summary: Summary) -> str:
    """Return the page of one ablation as HTML."""
    forest, found = differences(summary), sections(summary)
    drawn = [chart for section in found for chart in (*section.figures, *section.folded)]
    if forest is not None:
        drawn.insert(0, forest)
    return (
        environment()
        .get_template("page.html")
        .render(
            manifest=summary.manifest,
            verdict=summary.verdict,
            stated=summary.stated,
            banners=banners(summary),
            facts=facts(summary),
            legend=legend(summary),
            many=len(summary.labels) > FEW_ARMS,
            arms=[(label, describe(summary.manifest, label)) for label in summary.labels],
            headings=[
                (name, at >= len(OWN) and COLUMNS[at - len(OWN)] in FOLDED_COLUMNS)
                for at, name in enumerate(headings(summary))
            ],
            variants=[
                (label, zip(estimates, limits, keys, strict=True))
                for (label, estimates, limits), keys in zip(
                    cells(summary), sort_keys(summary), strict=True
                )
            ],
            run_headings=[(metric(name).short, name in FOLDED_COLUMNS) for name in RUN_COLUMNS],
            runs=runs(summary),
            many_rows=len(summary.runs) > MANY_ROWS,
            sections=found,
            place={chart.name: i for i, chart in enumerate(drawn)},
            charts=[chart.plain() for chart in drawn],
            forest=forest,
            operations=operations(summary),
            cells=derived(summary),
            meanings=meanings(summary),
            provenance=provenance(summary),
            downloads=downloads(summary),
        )
    )


OWN = ("variant", "finished", "difference", "p")
"""The columns before those of `COLUMNS`."""


def environment() -> jinja2.Environment:
    """Return the template environment: everything that is not marked safe is escaped."""
    folder = importlib.resources.files("bench.report")

    def source(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = lambda text: Markup(str(escape(text)).replace("_", "_<wbr>"))
    made.globals["inline"] = lambda name: Markup(source(name))
    script = source("charts.js") + source("page.js")
    made.globals["watching"] = Markup(source("watch.js"))
    made.globals |= {"script": Markup(script), "policy": policy(script)}
    return made


def policy(script: str) -> str:
    """Return what the browser is told: the page asks for nothing, and runs this script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def banners(summary: Summary) -> list[str]:
    """Return what a reader must know before believing anything below."""
    found = []
    for searched, truth in sorted(contexts(summary)):
        if searched != truth:
            found.append(
                f"Searched on {searched}, judged by {truth}: true accuracy, regret and τ come from "
                "another data set than the search saw. Read them as transfer, not as the quality "
                "of this search."
            )
    protocols = summary.runs.get("protocol")
    if protocols is not None and (hashes := protocols.dropna().unique()).size > 1:
        found.append(
            f"The runs were ranked by {len(hashes)} different protocols "
            f"({', '.join(map(str, hashes))}): their τ are not comparable."
        )
    found += notes(summary)
    if summary.foreign:
        found.append(
            f"{plural(summary.foreign, 'run folder')} here left out: of other settings, or begun when the "
            "answer was there already."
        )
    return found


def contexts(summary: Summary) -> set[tuple[str, str]]:
    """Return (data set searched on, data set of the truth) of all runs that know both."""
    return {
        (str(r["data"].get("dataset")), str(r["truth"].get("dataset")))
        for r in summary.results.values()
        if isinstance(r.get("data"), dict) and isinstance(r.get("truth"), dict)
    }


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Return the strip of numbers under the answer."""
    runs, first = summary.runs, next(iter(summary.results.values()), {})
    ok, seeds = int((runs["status"] == "ok").sum()), runs["seed"].nunique()
    data, truth = first.get("data") or {}, first.get("truth") or {}
    found = [("runs finished", f"{ok} of {len(runs)}"), ("seeds", str(seeds))]
    if data:
        found.append(("searched on", f"{data.get('dataset')}, {data.get('images')} images"))
    if truth:
        measured = f"{truth.get('dataset')} {truth.get('split')}, {truth.get('budget')} epochs"
        found += [("judged by", measured)]
    if isinstance(first.get("ranked"), int):
        found.append(("ranked", f"{first['ranked']} cells per run"))
    return [*found, ("profile", str(summary.manifest["profile"]))]


def legend(summary: Summary) -> list[dict[str, Any]]:
    """Return label, colour and marker of each variant."""
    colours, markers = svg.colours(summary.labels), svg.markers(summary.labels)
    return [
        {
            "label": label,
            "index": i,
            "colour": colours[label],
            "shape": Markup(SHAPES[markers[label]]),
        }
        for i, label in enumerate(summary.labels)
    ]


def operations(summary: Summary) -> list[tuple[str, str]]:
    """Return the operations of the spaces searched here and their colours."""
    found: dict[str, str] = {}
    for label in summary.labels:
        if (space := summary.space(label)) is not None:
            looks = [space.look(operation) for operation in space.operations]
            found |= {look.short: look.colour for look in looks}
    return list(found.items())


def runs(summary: Summary) -> list[dict[str, Any]]:
    """Return one row per planned run, those without a result included."""
    rows = []
    for i, label in enumerate(summary.labels):
        for _, row in summary.runs[summary.runs["label"] == label].iterrows():
            texts = []
            for name in RUN_COLUMNS:
                limits = bounds(interval(row, name), 2) if name in ("tau", "tau_loss") else ""
                texts.append((value(row, name), limits, _key(row.get(name))))
            rows.append(
                {
                    "label": label,
                    "index": i,
                    "seed": row["seed"],
                    "status": str(row["status"]).replace("_", " "),
                    "ok": row["status"] == "ok",
                    "error": row["error"],
                    "numbers": texts,
                    "short": summary.short(label, row.get("cell")),
                    "cell": row.get("cell") if isinstance(row.get("cell"), str) else "",
                    "collapsed": row.get("collapsed") == 1,
                    "changed": ", ".join(stale(summary.results.get(str(row["folder"]), {}))),
                }
            )
    return rows


def _key(found: Any) -> str:
    """Return what a column sorts by; empty sorts last."""
    return f"{found:.9g}" if isinstance(found, int | float) and found == found else ""


def derived(summary: Summary) -> list[dict[str, Any]]:
    """Return the derived cells drawn, by variant; where there are many runs, the most frequent."""
    found, few = [], FEW_CELLS if len(summary.runs) > FEW_RUNS else 0
    if len(summary.labels) > FEW_ARMS:
        few = 1
    for i, label in enumerate(summary.labels):
        space = summary.space(label)
        groups: dict[Any, list[Any]] = {}
        for k, row in enumerate(runs_with_cells(summary, label)):
            groups.setdefault(row["cell"] if few else k, []).append(row)
        most = sorted(groups.values(), key=len, reverse=True)[: few or None]
        cards = [
            {
                "image": Markup(space.draw(row["cell"])) if space else row["cell"],
                "seeds": f"seed {row['seed']}" if len(rows) == 1 else plural(len(rows), "seed"),
                "accuracy": value(row, "true_accuracy"),
                "percentile": value(row, "percentile"),
                "judged": value(row, "true_accuracy") != MISSING,
                "collapsed": row["collapsed"],
            }
            for rows in most
            for row in rows[:1]
        ]
        if cards:
            found.append({"label": label, "index": i, "cards": cards, "few": few})
    return found


def runs_with_cells(summary: Summary, label: str) -> list[Any]:
    """Return the finished runs of a variant that have a cell."""
    rows = summary.runs[(summary.runs["label"] == label) & (summary.runs["status"] == "ok")]
    return [row for _, row in rows.iterrows() if isinstance(row.get("cell"), str)]
