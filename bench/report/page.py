"""The page: one self-contained HTML file that answers the question of an ablation."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.resources
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from bench.files import write_atomically
from bench.metrics import METRICS, bounds, listed, metric, number, plural
from bench.names import shown
from bench.report import svg
from bench.report.arms import describe
from bench.report.figures import charts
from bench.report.forest import differences
from bench.report.notes import arithmetic, notes, stale
from bench.report.summary import Summary
from bench.report.table import as_csv, cells, headings, interval, sort_keys, value
from bench.runs.manifest import MANIFEST
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
FEW_CELLS, FEW_RUNS = 3, 60
"""Cells of a variant that are drawn where there are more runs."""
HISTORY = 40_000
"""Readings up to which the page holds all of them as a file to take along."""


def write_page(summary: Summary, path: Path) -> Path:
    """Write the page of one ablation; returns where it is."""
    write_atomically(path, render(summary).encode())
    return path


def render(summary: Summary) -> str:
    """Return the page of one ablation as HTML."""
    found = charts(summary)
    flat = [chart for group in found.values() for chart in group]
    place = {id(chart): i for i, chart in enumerate(flat)}
    with svg.style():
        forest = differences(summary)
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
            arms=[(label, describe(summary.manifest, label)) for label in summary.labels],
            headings=headings(summary),
            variants=[
                (label, zip(estimates, limits, keys, strict=True))
                for (label, estimates, limits), keys in zip(
                    cells(summary), sort_keys(summary), strict=True
                )
            ],
            run_headings=[metric(name).short for name in RUN_COLUMNS],
            runs=runs(summary),
            figures={
                section: [(place[id(chart)], chart) for chart in group]
                for section, group in found.items()
            },
            charts=[chart.plain() for chart in flat],
            forest=forest and {"name": forest.name, "image": Markup(forest.image)},
            operations=operations(summary),
            cells=derived(summary),
            meanings=meanings(summary),
            provenance=provenance(summary),
            downloads=downloads(summary),
        )
    )


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
    for label in summary.labels:
        for _, row in summary.runs[summary.runs["label"] == label].iterrows():
            texts = []
            for name in RUN_COLUMNS:
                limits = bounds(interval(row, name), 2) if name in ("tau", "tau_loss") else ""
                texts.append((value(row, name), limits, _key(row.get(name))))
            rows.append(
                {
                    "label": label,
                    "index": summary.labels.index(label),
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


def meanings(summary: Summary) -> list[tuple[str, str]]:
    """Return what every word of the page means, one line each."""
    known = [(m.title, m.meaning) for m in METRICS.values()]
    truths = [r["truth"] for r in summary.results.values() if isinstance(r.get("truth"), dict)]
    if truths and isinstance(truths[0].get("best"), int | float):
        truth = truths[0]
        best, average = number(truth["best"], 2), number(truth["random"], 2)
        meaning = f"{BEST.format(truth['cells'])}: {best} and {average} %"
        known.append(("best and average cell", meaning))
    return [*known, *READING]


BEST = "highest and mean true accuracy of the table's {} cells; a random choice is worth the mean"
READING = [
    (
        "estimates",
        "interquartile means over the finished seeds (the plain mean below four); brackets are "
        "95 % bootstrap intervals over seeds, for τ a mean and a bootstrap over seeds and "
        "architectures, for the collapse rate Wilson's. With few seeds they are too narrow",
    ),
    (
        "paired difference",
        "variant minus baseline at the same seed, averaged; p from the exact sign-flip test. The "
        "answer uses the one comparison stated beforehand, uncorrected; the table corrects all "
        "by Holm",
    ),
    (
        "failures",
        "runs that diverged, ran out of memory, failed or are missing have no cell: they are "
        "counted in every table and left out of estimates, which then hold for the finished runs "
        "only",
    ),
]
"""How to read what is not a column."""


def provenance(summary: Summary) -> list[tuple[str, str]]:
    """Return where the numbers come from; several values where runs disagree."""
    results = list(summary.results.values())

    def distinct(*path: str) -> str:
        found: list[str] = []
        for result in results:
            inner: Any = result
            for key in path:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if inner not in (None, "") and str(inner) not in found:
                found.append(str(inner))
        return listed(found)

    rows = [
        (
            "versions",
            ", ".join(
                f"{k} {v}"
                for k in ("bench", "python", "torch", "numpy")
                if (v := distinct("provenance", k))
            ),
        ),
        ("commit", distinct("provenance", "commit")),
        ("system", distinct("provenance", "system")),
        ("machine", distinct("provenance", "machine")),
        ("device", distinct("provenance", "device")),
        ("arithmetic", arithmetic(summary)),
        ("source of the package", distinct("provenance", "source")),
        ("threads per run", distinct("provenance", "threads")),
        ("truth", distinct("truth", "provenance")),
        ("truth sha256", distinct("truth", "sha256")),
        ("ranking protocol", distinct("protocol")),
        ("seeds", ", ".join(str(s) for s in sorted(summary.runs["seed"].unique()))),
    ]
    return [(name, text) for name, text in rows if text]


def downloads(summary: Summary) -> list[tuple[str, str]]:
    """Return file name and data URI of everything that can be taken along."""
    name = summary.manifest["name"]
    files = {
        f"{name}-variants.csv": ("text/csv", as_csv(summary.variants).encode()),
        f"{name}-runs.csv": ("text/csv", as_csv(summary.runs).encode()),
    }
    if len(summary.runs) > FEW_RUNS:  # a fifth; pandas reads it
        files = {
            f"{file}.gz": ("application/gzip", gzip.compress(content, mtime=0))
            for file, (_, content) in files.items()
        }
    readings = sum(len(e) for r in summary.results.values() for e in r.get("history", []))
    if readings <= HISTORY:
        history = gzip.compress(as_csv(summary.history).encode(), mtime=0)
        files[f"{name}-history.csv.gz"] = ("application/gzip", history)
    return [
        (file, f"data:{kind};base64,{base64.b64encode(content).decode()}")
        for file, (kind, content) in files.items()
    ]


def ablations(folder: Path) -> list[Path]:
    """Return the output folders directly below a folder, sorted by name."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def write_index(entries: Sequence[tuple[Path, Summary | str]], path: Path) -> Path:
    """Write the index over several ablations.

    Parameters
    ----------
    entries
        The page of each ablation and its summary, or the message of why there is none.
    """
    rows = []
    for page, found in entries:
        # Quoted, and with a folder named first: a name may hold `%`, `#`, or look like a scheme.
        link = "./" + quote(Path(os.path.relpath(page, path.parent)).as_posix())
        row: dict[str, Any] = {"link": link, "name": shown(page.parent.name)}
        if isinstance(found, str):
            rows.append(row | {"problem": found})
            continue
        ok = int((found.runs["status"] == "ok").sum())
        rows.append(
            row
            | {
                "problem": "",
                "question": found.manifest["question"],
                "verdict": found.verdict,
                "profile": found.manifest["profile"],
                "runs": f"{ok} of {len(found.runs)}",
            }
        )
    text = environment().get_template("index.html").render(rows=rows)
    write_atomically(path, text.encode())
    return path
