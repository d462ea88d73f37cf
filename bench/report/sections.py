"""The sections of a page that hold figures: what each is called, what is said of it, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.report.curves import Chart
from bench.report.figures import charts
from bench.report.multiples import FEW_ARMS
from bench.report.summary import Summary

SHOWN = 2
"""Figures of small panels that a section shows at once; the others open on demand."""


@dataclass(frozen=True)
class Section:
    """One section of figures; the page's template has one loop for all of them.

    Attributes
    ----------
    id
        Its anchor on the page.
    heading, note
        What it is called, and how its figures are read.
    figures
        Those that are drawn when they come into view.
    folded, summary
        Those that the reader opens, and what they are called until then.
    wide
        Whether a figure needs a third more room than usual.
    operations
        Whether its colours are those of operations, so that their key stands above.
    """

    id: str
    heading: str
    note: str = ""
    figures: list[Chart] = field(default_factory=list)
    folded: list[Chart] = field(default_factory=list)
    summary: str = ""
    wide: bool = False
    operations: bool = False


LINES = (
    "A thin line is a seed, a bold one the mean of the seeds still running; with many runs a band "
    "holds the middle half of the seeds."
)
SMALL = (
    "A panel is a variant, in the order of the first figure, all with the same axes: its mean and the "
    "middle half of its seeds; the grey line is the baseline."
)
ENDS = "A red cross is a run that failed there, a bar one that stopped itself."
MIXTURE = "Warm colours have no weights, blue ones are convolutions"


def sections(summary: Summary) -> list[Section]:
    """Return the sections that have a figure, in the order in which they are read."""
    found, many = charts(summary), len(summary.labels) > FEW_ARMS
    along = found["trajectories"]
    shown = along[:SHOWN] if many else along
    of_contrast = " Of the variants of the primary contrast." if many else ""
    made = [
        Section(
            "trajectories",
            "Along the search",
            f"{SMALL} {ENDS} Variants that learn no α have no argmax cell on the way."
            if many
            else f"{LINES} {ENDS} Skip counts are moved apart a little so that no seed hides "
            "another. Variants that learn no α have no argmax cell on the way.",
            shown,
            along[len(shown) :],
            f"{len(along) - len(shown)} more readings along the search",
        ),
        Section(
            "pairs",
            "Sharpness beside true accuracy",
            "The reading above, the true accuracy of the argmax cell below, a colour and marker per "
            "seed. A dashed line is the epoch whose cell counts where a search stopped "
            f"itself.{of_contrast}",
            found["pairs"],
        ),
        Section(
            "gaps",
            "Discretisation gap",
            "What is lost between the supernet with its mixture and the cell read off it. A thin "
            "line is a seed, a bold one their mean.",
            found["gaps"],
        ),
        Section(
            "shares",
            "What the mixture prefers",
            "Mean weight of each operation in the mixture, over all edges. "
            f"{MIXTURE}; the dashed line is an even mixture.",
            found["shares"],
            operations=many,
        ),
        Section(
            "rankings",
            "Does the supernet know which cells are good?",
            "A point is a cell: its accuracy with the supernet's weights, and its true accuracy (on "
            "a scale of its error). A supernet that ranks well makes a rising cloud; compare its τ "
            "with that of counting parameters.",
            found["rankings"],
        ),
        Section(
            "alphas",
            "Architecture parameters, edge by edge",
            "",
            [],
            found["alphas"],
            "Softmax of α on every edge, per epoch",
            wide=True,
            operations=True,
        ),
    ]
    return [section for section in made if section.figures or section.folded]
