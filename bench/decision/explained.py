"""How often explanations are decided wrongly, by simulation: `python -m bench.decision.explained`.

The explanations are those of ``ablations/explanations/*.yaml``, with all of their criteria, judged
together by the functions that `verdict` uses: the sign test about the smallest effect, Holm, the check that
the baseline failed. Differences are drawn for the primary criteria, the only ones that can decide; for the
rule of before, by which any criterion refuted, for as many as the files have.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.ablation.criteria import (
    ALPHA,
    Criterion,
    Decision,
    Explanation,
    Failed,
    Kind,
    judge,
    manipulated,
    together,
)
from bench.ablation.places import shipped
from bench.ablation.yamlfile import load
from bench.decision.sequential import wealth_above, wealth_of_rate
from bench.statistics import Floats

REPLAYS = 10_000
SEEDS = (6, 8, 12, 20)
LOOKS = 64
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
FAMILIES: dict[str, Draw] = {
    "normal": lambda rng, size: 1 + rng.normal(size=size),
    "skewed": lambda rng, size: rng.exponential(size=size) / np.log(2),
    "bimodal: 0 or 6 skips": lambda rng, size: np.where(rng.random(size) < 0.5, 0.0, 6.0),
    "tied at the smallest effect": lambda rng, size: rng.choice(
        [0.0, 1.0, 2.0], p=[0.2, 0.6, 0.2], size=size
    ),
    "half never come there": lambda rng, size: np.where(rng.random(size) < 0.5, np.inf, 0.5),
    "a third never come there, nor does the control": lambda rng, size: np.where(
        rng.random(size) < 1 / 3, np.nan, 1 + rng.normal(size=size)
    ),
}
"""Differences, in smallest effects of interest, whose median is 1: either answer is wrong."""
TRUE: dict[str, tuple[Draw, str]] = {
    "no effect": (lambda rng, size: rng.normal(size=size), "confirmed"),
    "twice the smallest of interest": (lambda rng, size: 2 + rng.normal(size=size), "refuted"),
}
"""Differences for which one answer is right, and the answer that is wrong."""
RATES = (0.5, 0.7, 0.9, 1.0)
"""Failure rates of the baseline."""


@functools.cache
def asked() -> tuple[Explanation, ...]:
    """Return the explanations that are shipped."""
    files = sorted((shipped() / "explanations").glob("*.yaml"))
    return tuple(Explanation.model_validate(load(file).data["explanation"]) for file in files)


@dataclass(frozen=True)
class Wrong:
    """Shares of replays in which any explanation was decided, one way or the other."""

    confirmed: float
    refuted: float
    either: float


def primaries() -> tuple[Criterion, ...]:
    """Return the criteria that decide."""
    return tuple(next(c for c in e.criteria if c.role == "primary") for e in asked())


@functools.cache
def _decision(of: int, beyond: int, short: int, seeds: int) -> Decision:
    """Judge by how many lie on either side: nothing else of the differences enters the p."""
    criterion = primaries()[of]
    unit = criterion.sign * criterion.smallest
    d = [2 * unit] * beyond + [0.0] * short + [unit] * (seeds - beyond - short)
    return judge(d, criterion)


@functools.cache
def _failed(of: int, failed: int, seeds: int) -> Failed:
    return manipulated([1.0] * failed + [0.0] * (seeds - failed), asked()[of].failure)


def verdicts(
    draw: Draw, seeds: int, replays: int, rate: float = 1.0
) -> list[tuple[tuple[Kind, ...], int]]:
    """Return the verdicts of all shipped explanations with how many replays gave them.

    Parameters
    ----------
    draw
        Differences of the primary criteria, in smallest effects of interest and the direction claimed.
    rate
        How often the baseline fails.
    """
    rng, count = np.random.default_rng(seeds), len(asked())
    d = draw(rng, (replays, count, seeds))
    failed = (rng.random((replays, seeds)) < rate).sum(axis=1, keepdims=True)
    drawn = np.hstack([(d > 1).sum(axis=2), (d < 1).sum(axis=2), failed])
    rows, times = np.unique(drawn, axis=0, return_counts=True)
    found = []
    for row, often in zip(rows.tolist(), times.tolist(), strict=True):
        decisions = [_decision(i, row[i], row[count + i], seeds) for i in range(count)]
        checks = [_failed(i, row[-1], seeds) for i in range(count)]
        found.append((tuple(kind for kind, _ in together(decisions, checks)), often))
    return found


def share(found: Sequence[tuple[tuple[Kind, ...], int]], *kinds: Kind) -> float:
    """Return in which share of replays any explanation got one of these verdicts."""
    hits = sum(often for own, often in found if any(kind in kinds for kind in own))
    return hits / sum(often for _, often in found)


def wrong(draw: Draw, seeds: int, replays: int) -> Wrong:
    """Return how often any explanation is decided, its baseline failing always."""
    found = verdicts(draw, seeds, replays)
    return Wrong(
        share(found, "confirmed"), share(found, "refuted"), share(found, "confirmed", "refuted")
    )


def worst(draw: Draw, replays: int) -> Wrong:
    """Return the largest shares over the numbers of seeds."""
    found = [wrong(draw, seeds, replays) for seeds in SEEDS]
    return Wrong(*(max(getattr(w, field) for w in found) for field in Wrong.__annotations__))


def looking(draw: Draw, replays: int) -> Wrong:
    """Return the same where seeds are added until it is decided, with a look at each of `LOOKS`.

    The p is that of `judge` with ``looked``, for many replays at once.
    """
    table = np.array(
        [
            [wealth_above(k, n) if k <= n else 0.0 for k in range(LOOKS + 1)]
            for n in range(1, LOOKS + 1)
        ]
    )
    rng, count = np.random.default_rng(LOOKS), len(asked())
    d = draw(rng, (replays, count, LOOKS))
    looks = np.arange(LOOKS)
    p = [
        1 / np.maximum(1.0, table[looks, side.cumsum(axis=-1)].max(axis=-1))
        for side in (d > 1, d < 1)
    ]
    smaller = 2 * np.minimum(*p)
    first = smaller.argmin(axis=1)  # Holm's first step: any decision at all
    decided = smaller.min(axis=1) * count <= ALPHA
    upward = np.take_along_axis(p[0] < p[1], first[:, None], axis=1)[:, 0]
    return Wrong(
        float((decided & upward).mean()), float((decided & ~upward).mean()), float(decided.mean())
    )


def checked(rate: float, replays: int) -> float:
    """Return how often the baseline passes as failing often enough, with a look at each of `LOOKS`."""
    hits = (np.random.default_rng(LOOKS).random((replays, LOOKS)) < rate).astype(float)
    (above,) = {e.failure.above for e in asked()}
    return float((wealth_of_rate(hits, above).max(axis=1) >= 1 / ALPHA).mean())


def student(draw: Draw, count: int, seeds: int, replays: int) -> float:
    """Return how often the rule of before refuted: any of ``count`` criteria, by Student's t."""
    d = draw(np.random.default_rng(seeds), (replays, count, seeds))
    half = stats.t.ppf(0.975, seeds - 1) * d.std(axis=2, ddof=1) / math.sqrt(seeds)
    return float((d.mean(axis=2) + half < 1).any(axis=1).mean())


def _row(name: str, *shares: float) -> str:
    return (
        f"| {name} | "
        + " | ".join("–" if math.isnan(s) else f"{100 * s:.2f} %" for s in shares)
        + " |"
    )


def report(replays: int) -> Iterator[str]:
    """Yield what docs/until_decided.md says of explanations, line by line."""
    counts = [len(e.criteria) for e in asked()]
    total, largest = sum(counts), max(counts)
    yield (
        f"Effects of just the smallest of interest, {len(counts)} explanations with "
        f"{', '.join(map(str, counts))} criteria, {replays:,} replays: any is"
    )
    yield ""
    yield (
        f"| differences | confirmed | refuted | either | either, looked at {LOOKS} times | before: "
        f"refuted by any of {largest} | of {total} |"
    )
    yield "|---|" + "---:|" * 6
    for name, draw in FAMILIES.items():
        found, looked = worst(draw, replays), looking(draw, replays)
        old = [math.nan] * 2
        if np.isfinite(draw(np.random.default_rng(0), (100,))).all():
            old = [student(draw, n, 8, replays) for n in (largest, total)]
        yield _row(name, found.confirmed, found.refuted, found.either, looked.either, *old)
    yield ""
    yield "| truth | wrong answer | any explanation has it |"
    yield "|---|---|---:|"
    for name, (draw, kind) in TRUE.items():
        yield f"| {name} | {kind} | {100 * getattr(worst(draw, replays), kind):.2f} % |"
    yield ""
    heads = [f"{n} seeds" for n in SEEDS] + [f"looked at {LOOKS} times"]
    yield f"| the baseline fails in | {' | '.join(heads)} |"
    yield "|---|" + "---:|" * len(heads)
    for rate in RATES:
        judged = [
            1 - share(verdicts(TRUE["no effect"][0], n, replays, rate), "not judged") for n in SEEDS
        ]
        judged.append(checked(rate, replays))
        yield _row(f"{100 * rate:.0f} % of searches: judged", *judged)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=REPLAYS)
    for line in report(parser.parse_args().replays):
        print(line, flush=True)


if __name__ == "__main__":
    main()
