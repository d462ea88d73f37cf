"""The table of variants for a paper: LaTeX with booktabs, a caption, units, and the columns asked for."""

from __future__ import annotations

from collections.abc import Sequence

from bench.contracts.registry import did_you_mean
from bench.metrics import metric, resolve
from bench.names import shown
from bench.report.arms import describe
from bench.report.summary import Summary
from bench.report.table import COLUMNS, cells, headings

OWN = ("finished", "difference", "p")
"""What `--columns` calls the columns before the metrics'."""


def as_tex(summary: Summary, columns: Sequence[str] = ()) -> str:
    """Return the table of variants as a LaTeX ``table``; its preamble needs booktabs alone.

    Parameters
    ----------
    columns
        ``finished``, ``difference``, ``p`` and metrics by name or by heading, in the order of the
        paper's table; none: all.

    Raises
    ------
    ValueError
        Where there is no such column.
    """
    every = (*OWN, *COLUMNS)
    chosen = [_place(name, every) for name in columns] or list(range(len(every)))
    names = [_unit(headings(summary)[1:][at], every[at], summary) for at in chosen]
    lines = [
        "% needs \\usepackage{booktabs}",
        *(f"% {_line(f'{x}: {describe(summary.manifest, x)}')}" for x in summary.labels),
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{tex(_caption(summary, [every[at] for at in chosen]))}}}",
        f"\\label{{tab:{summary.manifest['name']}}}",
        f"\\begin{{tabular}}{{l{'r' * len(names)}}}",
        "\\toprule",
        " & ".join(["variant", *map(tex, names)]) + r" \\",
        "\\midrule",
    ]
    for label, estimates, limits in cells(summary):
        lines.append(
            " & ".join(tex(x) for x in [label, *(estimates[at] for at in chosen)]) + r" \\"
        )
        small = [f"{{\\scriptsize {tex(limits[at])}}}" if limits[at] else "" for at in chosen]
        if any(small):
            lines.append(" & ".join(["", *small]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def _place(name: str, every: Sequence[str]) -> int:
    found = name if name in OWN else resolve(name)
    if found not in every:
        raise ValueError(f"--columns: no column {name!r}; {did_you_mean(name, list(every))}")
    return every.index(found)


def _unit(heading: str, name: str, summary: Summary) -> str:
    contrast = metric(summary.manifest["contrast"]["metric"])
    unit = {"difference": contrast.step, "cost_seconds": "", **dict.fromkeys(("finished", "p"), "")}
    said = unit.get(name, metric(name).unit if name not in OWN else "")
    return f"{heading} ({said})" if said else heading


def _caption(summary: Summary, names: Sequence[str]) -> str:
    contrast, seeds = summary.manifest["contrast"], summary.runs["seed"].nunique()
    text = (
        f"{_line(summary.manifest['question'])} Interquartile means over at most {seeds} seeds; "
        "below them 95 % bootstrap intervals over seeds (of the collapse rate Wilson's)."
    )
    if "difference" in names:
        title = metric(contrast["metric"]).title
        text += f" Δ: mean paired difference in {title} to {contrast['against']} at the same seed."
    if "p" in names:
        text += " p: exact sign-flip test, corrected by Holm over all variants."
    return text


def _line(text: str) -> str:
    return " ".join(shown(str(text)).split())


TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$",
    "Δ": r"$\Delta$", "δ": r"$\delta$", "α": r"$\alpha$", "β": r"$\beta$", "λ": r"$\lambda$",
    "σ": r"$\sigma$", "Σ": r"$\Sigma$", "η": r"$\eta$", "ε": r"$\epsilon$", "ρ": r"$\rho$",
    "−": r"$-$", "—": "---", "–": "--", "…": r"\ldots{}", "→": r"$\to$", "≥": r"$\geq$",
    "≤": r"$\leq$", "×": r"$\times$", "·": r"$\cdot$", "∞": r"$\infty$", "½": r"$1/2$",
    "’": "'", "‘": "`", "“": "``", "”": "''", "<": r"$<$", ">": r"$>$", "[": "{[}",
    "|": r"\textbar{}", '"': "''",
}  # fmt: skip
LATIN = 0x17F
"""Up to here LaTeX knows letters by itself; what is beyond and not in `TEX` would stop it."""


def tex(text: str) -> str:
    """Return text as LaTeX shows it; a letter that it does not know becomes a question mark."""
    one_line = str(text).replace("\n", " ")
    return "".join(
        TEX.get(c, c if 0x20 <= ord(c) < 0x7F or 0xC0 <= ord(c) <= LATIN else "?") for c in one_line
    )
