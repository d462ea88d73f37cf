"""The answer of an ablation whose seeds were added until it was decided."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bench.decision.sequential import Decision, decide, fewest, more
from bench.metrics import Metric, bounds, metric, number, plural, question
from bench.statistics import Interval
from bench.written import duration


def in_order(
    runs: pd.DataFrame, name: str, of: str, against: str, seeds: list[int]
) -> tuple[list[int], list[float]]:
    """Return seeds and differences of the pairs before the first that has not ended.

    A pair of which a run failed is passed over.
    """
    found: dict[tuple[str, int], float | None] = {}
    for row in runs.itertuples():
        value = getattr(row, name, None) if name in runs else None
        usable = row.status == "ok" and isinstance(value, int | float) and math.isfinite(value)
        ended = math.nan if row.status != "missing" else None
        found[str(row.label), int(str(row.seed))] = float(value) if usable else ended  # type: ignore[arg-type]
    kept, differences = [], []
    for seed in seeds:
        ours, theirs = found.get((of, seed)), found.get((against, seed))
        if ours is None or theirs is None:
            break
        if math.isfinite(difference := ours - theirs):
            kept.append(seed)
            differences.append(difference)
    return kept, differences


def kind(decision: Decision, expect: str) -> str:
    """Return ``supported``, ``opposite``, ``equivalent`` or ``undecided``."""
    if not decision.decided or decision.kind == "equivalent":
        return decision.kind
    return "supported" if expect in ("different", decision.kind) else "opposite"


def headline(decision: Decision, measure: Metric, expect: str) -> str:
    """Return the answer in a few words."""
    found = kind(decision, expect)
    if found == "supported":
        how = "is" if measure.binary else "tends to be"
        expected = " as expected" if expect == decision.kind else ""
        return f"Decided: yes, {measure.title} {how} {decision.kind}{expected}"
    if found == "opposite":
        return f"Decided: no, the opposite: {measure.title} is {decision.kind}, expected {expect}"
    if found == "equivalent":
        return f"Decided: no difference in {measure.title} that would be of interest"
    return "Not decided yet"


def effect(
    decision: Decision,
    measure: Metric,
    runs: pd.DataFrame,
    seeds: list[int],
    contrast: dict[str, Any],
) -> str:
    """Say what was found in counts that need no statistics, and the estimate with its bounds."""
    of, against, smallest = contrast["of"], contrast["against"], contrast.get("smallest")
    unit = f" {measure.step}" if measure.step else ""
    shown = Interval(*decision.effect)
    limits = bounds(shown, measure.digits, "{} to {}", signed=True) or "not bounded yet"
    if measure.binary:
        chosen = runs[runs["seed"].isin(seeds)].set_index(["label", "seed"])[measure.name]
        counts = [
            f"{int(np.sum([float(chosen[label, seed]) for seed in seeds]))} of {len(seeds)} "
            f"({label})"
            for label in (of, against)
        ]
        text = (
            f"{measure.short}: {counts[0]} against {counts[1]}; difference of the rates "
            f"{number(decision.effect.estimate, 2, signed=True)} (95 % confidence sequence {limits})"
        )
    else:
        tied = decision.pairs - decision.above - decision.below
        ties = f", {tied} tied" if tied else ""
        text = (
            f"{measure.title} of {of} is higher than that of {against} in {decision.above} of "
            f"{plural(decision.pairs, 'pair')} and lower in {decision.below}{ties}; median "
            f"difference {measure.text(decision.effect.estimate, signed=True)}{unit} "
            f"(95 % confidence sequence {limits})"
        )
    if smallest is not None:
        text += f"; smallest effect of interest {measure.text(smallest)}{unit}"
    return f"{text}."


def looked(decision: Decision, cost: str, then: float) -> str:
    """Say after how many pairs it was decided, or what it would take.

    Parameters
    ----------
    then
        The evidence at the look that decided; pairs may have come after it, either way.
    """
    if decision.decided:
        later = ""
        if decision.pairs > (decision.at or 0):
            later = f" then, {decision.evidence:.3g} to 1 after {plural(decision.pairs, 'pair')}"
        return (
            f"Decided after {plural(decision.at or 0, 'pair')} by a test that holds however often one "
            f"looks (evidence against no difference {then:.3g} to 1{later})."
        )
    text = f"Looked at after each of {plural(decision.pairs, 'pair')}: undecided"
    if decision.pairs < fewest():
        text += f" (fewer than {fewest()} pairs cannot decide)"
    return f"{text}; {cost}."


def needed(
    decision: Decision,
    differences: list[float],
    measure: Metric,
    smallest: float | None,
    pair_seconds: float,
) -> tuple[int | None, str]:
    """Return how many more pairs it would take if they went on like this, and that in words."""
    pairs = more(differences, question(measure.name, smallest))
    if pairs is None:
        text = "out of reach of more seeds if it goes on like this"
        if smallest is None:
            text += ", and without a `smallest` effect of interest nothing can be excluded"
        return None, text
    text = f"about {plural(pairs, 'more pair')} if it goes on like this"
    if pairs and math.isfinite(pair_seconds):
        text += f", about {duration(pairs * pair_seconds)} of computing"
    return pairs, text


def answer(runs: pd.DataFrame, contrast: dict[str, Any], seeds: list[int]) -> dict[str, Any]:
    """Return the parts of a verdict; empty where no pair has ended."""
    of, against = contrast["of"], contrast["against"]
    measure, expect = metric(contrast["metric"]), contrast.get("expect") or "different"
    kept, differences = in_order(runs, measure.name, of, against, seeds)
    if not differences:
        return {}
    smallest = contrast.get("smallest")
    decision = decide(differences, question(measure.name, smallest))
    then = decide(differences[: decision.at], question(measure.name, smallest)).evidence
    costs = runs[(runs["status"] == "ok") & runs["label"].isin([of, against])]
    seconds = (
        float(costs.groupby("label")["seconds"].median().sum()) if "seconds" in costs else math.nan
    )
    pairs, cost = needed(decision, differences, measure, smallest, seconds)
    return {
        "kind": kind(decision, expect),
        "headline": headline(decision, measure, expect),
        "effect": effect(decision, measure, runs, kept, contrast),
        "test": looked(decision, cost, then),
        "decision": decision,
        "more": pairs,
    }
