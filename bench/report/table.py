"""The tables: on the terminal, and as Markdown and CSV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any

import pandas as pd
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bench import terminal
from bench.metrics import bounds, listed, metric, number, p_text
from bench.report.arms import describe
from bench.report.notes import arithmetic, notes
from bench.report.summary import Summary
from bench.statistics import Interval
from bench.written import MISSING, duration

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would calculate."""
WIDTH = 100
TERMINAL = (
    "skip_count",
    "weight_free_share",
    "true_accuracy",
    "regret",
    "tau",
    "tau_loss",
    "tau_parameters",
)
NARROW = {"weight_free_share": "w-free", "tau_parameters": "τ par."}
LEFT_OUT_FIRST = (
    "τ par.", "regret", "w-free", "τ loss", "time", "τ accuracy", "ok", "skips", "coll.",
)  # fmt: skip
"""Headings that a narrow terminal does without, in this order."""
RUN_WIDTH = 100
"""From so many columns on a run's line has regret and τ's interval."""
NO_BOUNDS = ("regret", "tau_parameters")
"""Regret is true accuracy mirrored; the parameter count is the same for all seeds."""


def interval(row: pd.Series[Any], name: str) -> Interval:
    """Return a metric of a variant with its bounds."""
    return Interval(
        *(float(row.get(key, float("nan"))) for key in (name, f"{name}_low", f"{name}_high"))
    )


def as_text(summary: Summary) -> None:
    """Print both tables and the answer to stdout; legible from 60 columns on and without a terminal."""
    console = terminal.console(piped_width=WIDTH)
    console.print()
    table, left_out = _variants(summary, console.width)
    console.print(table)
    if left_out:
        console.print(Text(f"no room for: {listed(left_out)} (`report --md` has all)", style="dim"))
    console.print()
    for line in _runs(summary, console.width):
        console.print(line, soft_wrap=True)
    if summary.verdict.comparison.seeds and len(summary.labels) > 2:
        console.print()
        console.print(_differences(summary))
    console.print()
    for text in notes(summary):
        console.print(Text(text))
    if text := arithmetic(summary):
        console.print(Text(f"Computed by {text}."))
    console.print(Text(summary.answer, style="bold"))
    console.print()


def _variants(summary: Summary, width: int) -> tuple[Table, list[str]]:
    """One line of estimates per variant, and one of their intervals below it.

    Returned with the headings of what a narrow terminal leaves out: numbers and names are never cut.
    """
    cells: dict[str, list[str]] = {
        "ok": [f"{row['ok']}/{row['planned']}" for _, row in summary.variants.iterrows()]
    }
    for name in TERMINAL:
        cells[NARROW.get(name, metric(name).short)] = [
            number(row[name], metric(name).digits)
            + ("" if name in NO_BOUNDS else bounds(interval(row, name), _digits(name), "\n{}…{}"))
            for _, row in summary.variants.iterrows()
        ]
    cells["coll."] = [
        f"{row['collapsed'] * row['collapsed_n']:.0f}/{row['collapsed_n']}"
        if row["collapsed_n"]
        else MISSING
        for _, row in summary.variants.iterrows()
    ]
    cells["time"] = [duration(row["cost_seconds"]) for _, row in summary.variants.iterrows()]
    labels = max(len("variant"), *map(len, summary.labels))
    left_out = _too_many(cells, width - labels)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("variant", overflow="fold")
    for heading in cells:
        if heading not in left_out:
            table.add_column(heading, justify="right", no_wrap=True)
    for k, label in enumerate(summary.labels):
        table.add_row(
            Text(label), *(cells[heading][k] for heading in cells if heading not in left_out)
        )
    return table, left_out


def _too_many(cells: dict[str, list[str]], room: int) -> list[str]:
    """Return the headings, the least missed first, without which the columns fit into so much room."""
    widths = {
        heading: 1 + max(cell_len(line) for text in (heading, *texts) for line in text.split("\n"))
        for heading, texts in cells.items()
    }
    left_out: list[str] = []
    for heading in LEFT_OUT_FIRST:
        if sum(widths.values()) <= room:
            break
        del widths[heading]
        left_out.append(heading)
    return left_out


def _digits(name: str) -> int:
    return 1 if name == "true_accuracy" else metric(name).digits


def _runs(summary: Summary, width: int) -> Iterator[Text]:
    """One line per run, grouped by variant: the label would take a third of every line."""
    columns = ["skip_count", "weight_free_share", "true_accuracy", "regret"]
    if width < RUN_WIDTH:
        columns.remove("regret")
    if narrow := width < 80:
        columns.remove("weight_free_share")
    heads = [NARROW.get(name, metric(name).short) for name in columns]
    tau = 20 if width >= RUN_WIDTH else 0 if narrow else 10

    def line(seed: Any, numbers: Iterable[str], ranked: str, cell: str) -> Text:
        texts = [f"{text:>{len(head)}}" for text, head in zip(numbers, heads, strict=True)]
        return Text("  ".join([f"{seed:>6}", *texts, *([f"{ranked:<{tau}}"] if tau else []), cell]))

    yield Text.assemble((line("seed", heads, "τ accuracy", "derived cell").plain, "bold"))
    for label in summary.labels:
        said = describe(summary.manifest, label)
        fits = len(label) + len(said) + 2 <= width
        yield Text.assemble(label, (f"  {said}" if fits else "", "dim"))
        for _, row in summary.runs[summary.runs["label"] == label].iterrows():
            if row["status"] != "ok":
                yield Text(
                    f"{row['seed']:>6}  {row['status'].replace('_', ' ')}: {row['error']}",
                    style="red",
                )
                continue
            found = interval(row, "tau")
            limits = bounds(found, 2, " [{}, {}]") if tau > 10 else ""
            yield line(
                row["seed"],
                (value(row, name) for name in columns),
                number(found.estimate, 2) + limits,
                summary.short(label, row.get("cell")),
            )


def value(row: pd.Series[Any], name: str) -> str:
    """Write one number of one run."""
    digits = 0 if name == "skip_count" else metric(name).digits
    found = row.get(name)
    return number(float(found), digits) if isinstance(found, Real) else MISSING


def _differences(summary: Summary) -> Table:
    contrast = summary.manifest["contrast"]
    measure = metric(contrast["metric"])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(Text(f"{measure.title} against {contrast['against']}"), overflow="fold")
    for name in ("difference", "95 %", "pairs", "tied", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in summary.variants.iterrows():
        if row["label"] == contrast["against"]:
            continue
        effect = interval(row, "difference")
        table.add_row(
            Text(row["label"]),
            measure.text(effect.estimate, signed=True),
            bounds(effect, measure.digits, "{}…{}", signed=True),
            str(row["pairs"]),
            number(row["ties"], 0),
            p_text(row["p_holm"]),
        )
    return table


def cells(summary: Summary) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield label, estimates and bounds per variant, as `HEADINGS` names them.

    What Markdown, LaTeX (`bench.report.tex`) and the page show is one and the same table.
    """
    for _, row in summary.variants.iterrows():
        primary = metric(summary.manifest["contrast"]["metric"])
        effect, baseline = (
            interval(row, "difference"),
            row["label"] == summary.manifest["contrast"]["against"],
        )
        ties = f", {row['ties']:.0f} tied" if row["ties"] > 0 else ""
        estimates = [
            f"{row['ok']} of {row['planned']}",
            "baseline" if baseline else primary.text(effect.estimate, signed=True),
            "" if baseline else p_text(row["p_holm"]),
        ]
        pairs = "" if baseline else f"{row['pairs']} pair{'' if row['pairs'] == 1 else 's'}{ties}"
        limits = [
            row["statuses"] if row["failed"] else "",
            bounds(effect, primary.digits, signed=True),
            pairs,
        ]
        for name in COLUMNS:
            measure, value = metric(name), interval(row, name)
            if name == "collapsed":
                n = row["collapsed_n"]
                estimates.append(f"{row['collapsed'] * n:.0f} of {n}" if n else MISSING)
            elif name == "cost_seconds":
                estimates.append(duration(value.estimate))
            else:
                missing = row["ok"] - row[f"{name}_n"]
                note = f" ({row[f'{name}_n']} runs)" if missing and row[f"{name}_n"] else ""
                estimates.append(measure.text(value.estimate) + note)
            shown = name not in ("cost_seconds", "tau_parameters")
            limits.append(bounds(value, measure.digits) if shown else "")
        yield row["label"], estimates, limits


def sort_keys(summary: Summary) -> Iterator[list[str]]:
    """Yield what the columns of `cells` sort by; empty where there is nothing to sort by."""
    for _, row in summary.variants.iterrows():
        first = (row["ok"] / row["planned"], row["difference"], row["p_holm"])
        found = [*first, *(row[name] for name in COLUMNS)]
        yield [f"{float(key):.9g}" if key == key else "" for key in found]


COLUMNS = (
    "skip_count", "weight_free_share", "collapsed", "true_accuracy", "percentile", "regret",
    "tau", "tau_loss", "tau_parameters", "cost_seconds",
)  # fmt: skip


def headings(summary: Summary) -> list[str]:
    """Return the headings of `cells`."""
    primary = metric(summary.manifest["contrast"]["metric"])
    return [
        "variant",
        "finished",
        f"Δ {primary.short}",
        "p (Holm)",
        *(metric(name).short for name in COLUMNS),
    ]


def as_markdown(summary: Summary) -> str:
    """Return question, answer and the table of variants as Markdown."""
    lines = [f"# {_md(summary.manifest['question'])}", "", f"**{_md(summary.answer)}**", ""]
    for text in notes(summary):
        lines += [_md(text), ""]
    names = headings(summary)
    lines += [
        "| " + " | ".join(_md(name) for name in names) + " |",
        "|---" + "|--:" * (len(names) - 1) + "|",
    ]
    for label, estimates, limits in cells(summary):
        joined = [f"{a} {b}".strip() for a, b in zip(estimates, limits, strict=True)]
        lines.append("| " + " | ".join(_md(word) for word in [label, *joined]) + " |")
    lines += ["", "What each variant is:", ""]
    lines += [f"- {_md(name)}: {_md(describe(summary.manifest, name))}" for name in summary.labels]
    lines += ["", f"Command: `{summary.manifest['command'].replace('`', '')}`", ""]
    return "\n".join(lines)


def _md(text: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in str(text).replace("\n", " "))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def as_csv(frame: pd.DataFrame, digits: str | None = None) -> str:
    """Return a frame as CSV; what begins like a spreadsheet formula is made text."""
    columns = [
        frame.iloc[:, i]
        if pd.api.types.is_numeric_dtype(frame.iloc[:, i])
        else frame.iloc[:, i].map(_no_formula)
        for i in range(frame.shape[1])
    ]
    safe = pd.concat(columns, axis=1) if columns else frame
    buffer = io.StringIO()
    header = [_no_formula(str(name)) for name in frame.columns]
    safe.to_csv(buffer, index=False, header=header, float_format=digits)
    return buffer.getvalue()
