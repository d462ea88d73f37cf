"""How often the tests err and what they see, by simulation: `python -m bench.decision.calibration`.

Campaigns in which nothing differs, with a look after every pair; what a difference takes to be decided,
beside the exact sign test with a number of pairs fixed beforehand. For explanations see
`bench.decision.explained`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from bench.decision.power import Outcome, campaigns
from bench.decision.sequential import Question
from bench.statistics import Floats

REPLAYS, MOST = 10_000, 64
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def rates(one: float, other: float) -> Draw:
    """Return differences of two outcomes of 0 or 1 with these rates."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
        first, second = rng.random(size) < one, rng.random(size) < other
        return first.astype(np.float64) - second.astype(np.float64)

    return draw


def signs(up: float) -> Draw:
    """Return differences of which a share ``up`` is +1 and the others −1."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
        return np.where(rng.random(size) < up, 1.0, -1.0)

    return draw


def _skips(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Bimodal, tied counts: six skips in four of ten, else few; both arms alike."""
    draw = [np.where(rng.random(size) < 0.4, 6, rng.integers(0, 3, size)) for _ in range(2)]
    return np.asarray(draw[0] - draw[1], dtype=float)


NULLS: dict[str, tuple[Draw, Question, tuple[str, ...]]] = {
    "rates 0.5 and 0.5": (rates(0.5, 0.5), Question(binary=True, smallest=0.3), ("equivalent",)),
    "rates 0.95 and 0.95": (rates(0.95, 0.95), Question(binary=True, smallest=0.3), ("equivalent",)),
    "bimodal, tied counts": (_skips, Question(), ("equivalent",)),
    "normal": (lambda r, s: r.normal(size=s), Question(smallest=1.0), ("equivalent",)),
    "Cauchy": (lambda r, s: r.standard_cauchy(s), Question(smallest=2.0), ("equivalent",)),
    "accuracy that falls by 40 in either arm": (
        lambda r, s: 40 * rates(0.3, 0.3)(r, s) + r.normal(size=s), Question(smallest=5.0), ("equivalent",),
    ),
    # An effect just as large as the smallest of interest: to call it equivalent is wrong.
    "rates 0.65 and 0.35, smallest 0.3": (
        rates(0.65, 0.35), Question(binary=True, smallest=0.3), ("higher",),
    ),
    "normal about the smallest": (
        lambda r, s: 1 + r.normal(size=s), Question(smallest=1.0), ("higher",),
    ),
    "skewed, its median the smallest": (
        lambda r, s: r.exponential(size=s) / np.log(2), Question(smallest=1.0), ("higher",),
    ),
}  # fmt: skip
"""Name → differences, what is asked of them, and what would be right to decide."""
EFFECTS: dict[str, tuple[Draw, Question]] = {
    "collapse in 10 of 10 against 0 of 10": (rates(0.0, 1.0), Question(binary=True)),
    "in 9 of 10 against 1 of 10": (rates(0.1, 0.9), Question(binary=True)),
    "in 9 of 10 against 3 of 10": (rates(0.3, 0.9), Question(binary=True)),
    "in 7 of 10 against 3 of 10": (rates(0.3, 0.7), Question(binary=True)),
    "normal, shifted by 1 standard deviation": (lambda r, s: 1 + r.normal(size=s), Question()),
    "normal, shifted by 0.5": (lambda r, s: 0.5 + r.normal(size=s), Question()),
}
FIXED = (6, 10, 15, 20, 30)
"""Numbers of pairs of the fixed test that is compared with."""


def simulated(draw: Draw, question: Question, replays: int, seed: int = 0) -> Outcome:
    """Replay campaigns of at most `MOST` pairs."""
    return campaigns(draw(np.random.default_rng(seed), (replays, MOST)), question)


def fixed_power(draw: Draw, pairs: int, replays: int, peeking: bool = False) -> float:
    """Return how often the exact sign test rejects: once at ``pairs``, or at any look up to then."""
    d = draw(np.random.default_rng(1), (replays, pairs))
    above, below = (d > 0).cumsum(axis=1), (d < 0).cumsum(axis=1)
    p = 2 * stats.binom.cdf(np.minimum(above, below), above + below, 0.5)
    return float(((p <= 0.05).any(axis=1) if peeking else p[:, -1] <= 0.05).mean())


def report(replays: int) -> Iterator[str]:
    """Yield what docs/until_decided.md says, line by line."""
    yield f"## Nothing differs, or just as much as matters: {replays:,} campaigns, {MOST} looks"
    yield "| differences | wrong | right | pairs on average |"
    yield "|---|---:|---:|---:|"
    for name, (draw, question, right) in NULLS.items():
        found = simulated(draw, question, replays)
        correct = sum(found.kinds[kind] for kind in right)
        yield f"| {name} | {100 * found.wrong(*right):.2f} % | {100 * correct:.1f} % | {found.pairs:.1f} |"
    peeked = fixed_power(NULLS["normal"][0], MOST, replays, peeking=True)
    yield f"\nThe exact sign test looked at as often, stopping at p ≤ 0.05: wrong in {100 * peeked:.1f} %."
    yield "\n## What a difference takes"
    heads = " | ".join(f"fixed {n}" for n in FIXED)
    yield f"| difference | decided by {MOST} | pairs on average | {heads} |"
    yield "|---|---:|---:|" + "---:|" * len(FIXED)
    for name, (draw, question) in EFFECTS.items():
        found = simulated(draw, question, replays)
        power = " | ".join(f"{100 * fixed_power(draw, n, replays):.0f} %" for n in FIXED)
        yield f"| {name} | {100 * (1 - found.kinds['undecided']):.1f} % | {found.pairs:.1f} | {power} |"


def draw(path: Path, replays: int) -> None:
    """Draw power and pairs against the size of the difference."""
    from bench.report import svg  # late: saves start-up time

    shares = np.linspace(0.5, 1.0, 21)
    found = [
        simulated(lambda r, s, q=q: np.where(r.random(s) < q, 1.0, -1.0), Question(), replays)  # type: ignore[misc]
        for q in shares
    ]
    with svg.style():
        figure = svg.figure(8.2, 3.0)
        left, right = figure.subplots(1, 2)
        left.plot(
            shares,
            [100 * (1 - f.kinds["undecided"]) for f in found],
            color=svg.PALETTE[0],
            lw=2,
            label=f"until decided, at most {MOST}",
        )
        for i, pairs in enumerate((6, 10, 20), start=1):
            power = [100 * fixed_power(signs(q), pairs, replays) for q in shares]
            left.plot(shares, power, color=svg.PALETTE[i], lw=1.2, label=f"fixed {pairs}")
        left.axhline(5, color=svg.FOREGROUND, lw=0.6, ls=(0, (4, 2)))
        left.set_xlabel("share of the pairs that point one way")
        left.set_ylabel("decided (%)")
        left.legend()
        right.plot(shares, [f.pairs for f in found], color=svg.PALETTE[0], lw=2)
        right.set_xlabel("share of the pairs that point one way")
        right.set_ylabel("pairs until it ends, mean")
        path.write_text(svg.to_svg(figure, "until-decided", "power and pairs until it is decided"))


def main() -> None:
    """Print the tables, and draw them where ``--draw`` names a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=REPLAYS)
    parser.add_argument("--draw", type=Path, help="an SVG of power and pairs")
    options = parser.parse_args()
    for line in report(options.replays):
        print(line, flush=True)
    if options.draw is not None:
        draw(options.draw, min(options.replays, 4000))


if __name__ == "__main__":
    main()
