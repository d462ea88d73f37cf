"""`bench compare`: two output folders, or two variants of one, difference by difference."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.written import finite

if TYPE_CHECKING:
    from bench.report.contrast import Comparison
    from bench.report.summary import Summary

DEFAULT = ("skip_count", "weight_free_share", "true_accuracy", "regret", "tau", "tau_loss")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(compare)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="An output folder, or a variant of --in.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is compared with.")],
    folder: Annotated[
        Path | None, typer.Option("--in", help="Compare two variants of this output folder.")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Only this column (repeatable).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparisons as JSON.")] = False,
) -> None:
    """Compare by seed: paired differences A − B with 95 % intervals and sign-flip p.

    Two folders are compared variant by variant, for the variants that both have. Where two runs
    were not judged alike (another ranking protocol, another truth) the numbers concerned are
    refused, loudly.
    """
    from bench.report.summary import Summary

    if folder is not None:
        summary = Summary.read(folder)
        pairs = [(summary, variant(summary, a), summary, variant(summary, b))]
    else:
        left, right = Summary.read(Path(a)), Summary.read(Path(b))
        both = [label for label in left.labels if label in right.labels]
        if not both:
            raise ValueError(
                f"{a} and {b} have no variant in common: {', '.join(left.labels)} against "
                f"{', '.join(right.labels)}; for two variants of one folder use --in DIR"
            )
        pairs = [(left, label, right, label) for label in both]
    found = [item for pair in pairs for item in comparisons(*pair, metrics)]
    if as_json:
        print(json.dumps([record(item) for item in found], indent=1, allow_nan=False))
    else:
        table(found, against=b)
    only = {m for m in metrics or [] if not any(item.metric == m for item in found)}
    if only:
        print(f"not compared: {', '.join(sorted(only))}", file=sys.stderr)
        raise typer.Exit(1)


def variant(summary: Summary, label: str) -> str:
    """Return the label, or refuse one that the folder does not have."""
    from bench.contracts.registry import did_you_mean

    if label not in summary.labels:
        raise ValueError(
            f"{summary.root} has no variant {label!r}; {did_you_mean(label, summary.labels)}"
        )
    return label


def comparisons(
    left: Summary, of: str, right: Summary, against: str, metrics: list[str] | None
) -> list[Comparison]:
    """Compare one variant of one folder with one of another, metric by metric."""
    from bench.contracts.registry import did_you_mean
    from bench.metrics import METRICS
    from bench.report.contrast import pair, values
    from bench.report.rows import numeric

    known = [*METRICS, *numeric(left.runs), *numeric(right.runs)]
    for name in metrics or []:
        if name not in known:
            raise ValueError(f"--metric {name}: no such column; {did_you_mean(name, known)}")
    refused = unlike(left, of, right, against, metrics or DEFAULT)
    planned = len(seeds(left, of) & seeds(right, against))
    names = (of, against) if left is right else (f"{of} ({left.root})", f"{against} ({right.root})")
    return [
        pair(values(left.runs, of, name), values(right.runs, against, name), name, *names, planned)
        for name in metrics or DEFAULT
        if name not in refused
    ]


def seeds(summary: Summary, label: str) -> set[int]:
    """Return the seeds that a variant was to have."""
    return {int(seed) for seed in summary.runs.loc[summary.runs["label"] == label, "seed"]}


def unlike(
    left: Summary, of: str, right: Summary, against: str, names: Sequence[str]
) -> frozenset[str]:
    """Return those of the metrics that must not be compared, and say why on stderr."""
    from bench.report.alike import mixed
    from bench.report.alike import unlike as compared

    ours, theirs = left.of(of), right.of(against)
    found = [*mixed(ours), *mixed(theirs), *compared(ours, theirs)]
    refused = frozenset(name for name in names if any(r.check.concerns(name) for r in found))
    for refusal in found:
        concerned = ", ".join(name for name in names if refusal.check.concerns(name))
        if concerned:
            print(
                f"warning: {of}: {refusal}: {concerned} are not comparable and left out",
                file=sys.stderr,
            )
    return refused


def record(item: Comparison) -> dict[str, object]:
    """Return a comparison for JSON; what is not a number is null."""
    return {
        "metric": item.metric,
        "of": item.of,
        "against": item.against,
        "seeds": list(item.seeds),
        "planned": item.planned,
        "differences": list(item.differences),
        "ties": item.ties,
        "difference": finite(item.difference.estimate),
        "low": finite(item.difference.low),
        "high": finite(item.difference.high),
        "p": finite(item.p),
        "floor": item.floor,
        "improvement": finite(item.improvement),
        "delta": finite(item.delta),
    }


def table(found: list[Comparison], against: str) -> None:
    """Print a block per pair of variants, a line per metric, and whether the seeds suffice."""
    from bench.metrics import bounds, metric, number, p_text
    from bench.statistics import holm, too_few_seeds

    adjusted = holm([item.p for item in found])
    line = "{:<28} {:>10}  {:<20} {:>8} {:>5} {:>8} {:>8} {:>6}"
    last, few = ("", ""), None
    for item, p_holm in zip(found, adjusted, strict=True):
        if (item.of, item.against) != last:
            last = (item.of, item.against)
            print(f"\n{item.of} − {item.against}")
            print(line.format("", "difference", "95 %", "pairs", "tied", "p", "p (Holm)", "δ"))
        measure = metric(item.metric)
        print(
            line.format(
                measure.title[:28],
                measure.text(item.difference.estimate, signed=True),
                bounds(item.difference, measure.digits, signed=True),
                f"{len(item.seeds)}/{item.planned}",
                item.ties,
                p_text(item.p),
                p_text(float(p_holm)),
                number(item.delta, 2, signed=True),
            )
        )
        few = few or too_few_seeds(len(item.seeds), len(found))
    if few:
        print(f"\n{few}")
    if any(len(item.seeds) < item.planned for item in found):
        print("\nruns that did not finish are left out of the differences: see `bench report`")
