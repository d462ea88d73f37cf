"""Whether runs were judged alike: the same images, truth and ranking protocol, or not comparable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

Result = dict[str, Any]

NEEDS_PROTOCOL = frozenset({"tau", "tau_loss", "tau_parameters"})
NEEDS_TRUTH = frozenset({"true_accuracy", "regret", "percentile"})
PANELS = ("tau_", "accuracy_", "loss_", "noise_ceiling")
"""How the other columns of a ranking begin."""


@dataclass(frozen=True)
class Check:
    """One thing that runs must share before some of their numbers are put together.

    Attributes
    ----------
    what
        What it is called, in the plural.
    named
        Result → what it was in that run; empty where the run does not say.
    concerns
        Whether a column depends on it.
    """

    what: str
    named: Callable[[Result], str]
    concerns: Callable[[str], bool]


CHECKS = (
    Check(
        "ranking protocols",
        lambda result: str(result.get("protocol") or ""),
        lambda column: column in NEEDS_PROTOCOL or column.startswith(PANELS),
    ),
    Check(
        "ground truths",
        lambda result: str((result.get("truth") or {}).get("sha256") or ""),
        lambda column: column in NEEDS_TRUTH,
    ),
)
"""What two variants must share to be compared."""
IMAGES = Check(
    "images", lambda result: str((result.get("contents") or {}).get("data") or ""), lambda _: True
)
"""What the runs of one variant must share beside that; two variants may be about other images."""


@dataclass(frozen=True)
class Refusal:
    """Numbers that must not be put together, and why.

    Attributes
    ----------
    check
        What the runs do not share.
    found
        The hashes that were found, on either side.
    """

    check: Check
    found: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        listing = " and ".join(", ".join(name[:12] for name in side) for side in self.found)
        return f"different {self.check.what} ({listing})"


def mixed(results: Sequence[Result]) -> list[Refusal]:
    """Return why numbers of these runs, which should differ in their seeds only, are no sample."""
    found = []
    for check in (*CHECKS, IMAGES):
        names = _names(check, results)
        if len(names) > 1:
            found.append(Refusal(check, (names,)))
    return found


def unlike(ours: Sequence[Result], theirs: Sequence[Result]) -> list[Refusal]:
    """Return why numbers of some runs must not be compared with those of others."""
    found = []
    for check in CHECKS:
        sides = (_names(check, ours), _names(check, theirs))
        if all(sides) and sides[0] != sides[1]:
            found.append(Refusal(check, sides))
    return found


def without(
    runs: pd.DataFrame, label: str, refusals: Sequence[Refusal], numbers: Sequence[str]
) -> pd.DataFrame:
    """Return runs, a row each, without those numbers of a variant that refusals concern.

    Parameters
    ----------
    numbers
        The columns that hold numbers.
    """
    for refusal in refusals:
        columns = [name for name in numbers if refusal.check.concerns(name)]
        runs = runs.copy()
        runs[columns] = runs[columns].astype(float)
        runs.loc[runs["label"] == label, columns] = math.nan
    return runs


def without_mixed(
    runs: pd.DataFrame, results: Mapping[str, Result], numbers: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Take out what was not made or judged alike within a variant; a sentence for each.

    Parameters
    ----------
    results
        Folder → result.
    """
    notes = []
    for label in dict.fromkeys(runs["label"]):
        folders = runs.loc[runs["label"] == label, "folder"]
        refusals = mixed([results[name] for name in folders if name in results])
        runs = without(runs, label, refusals, numbers)
        notes += [
            f"The runs of {label} have {refusal}: they are no sample of one thing, and the "
            "numbers concerned are left out."
            for refusal in refusals
        ]
    return runs, tuple(notes)


def _names(check: Check, results: Iterable[Result]) -> tuple[str, ...]:
    return tuple(sorted({check.named(result) for result in results} - {""}))
