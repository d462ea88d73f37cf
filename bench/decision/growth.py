"""Pairs of seeds are added until the contrast is decided: which runs are next, and when it is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from bench.decision.budget import Until
from bench.decision.sequential import Decision, Question, decide, fewest, more
from bench.runs.spec import RunSpec

Value = Callable[[RunSpec], float | None]
"""The metric of a run; NaN where it has ended without one, None where it has not ended."""


class Growth:
    """The runs of an ablation whose number of seeds is open.

    Looked at are, in the order of the seeds, the pairs before the first that has not ended: a search
    that stops itself early ends sooner, and what ends sooner must not count first. A pair of which a
    run failed has no difference and is passed over. Every other variant is compared with the same
    control; one that is decided gets no more runs, and all end with the primary contrast.

    Parameters
    ----------
    specs
        All runs that there may be, seeds outermost.
    of, against
        The primary contrast.
    seconds
        What a finished run took; NaN where it has not.
    side_by_side
        How many runs go at a time.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        of: str,
        against: str,
        question: Question,
        until: Until,
        value: Value,
        seconds: Callable[[RunSpec], float] = lambda spec: math.nan,
        side_by_side: int = 1,
    ) -> None:
        self.of, self.against, self.question, self.until = of, against, question, until
        self.side_by_side = side_by_side
        self._value, self._seconds = value, seconds
        self._known: dict[tuple[int, str], float] = {}
        self._seeds: dict[int, dict[str, RunSpec]] = {}
        for spec in specs:
            self._seeds.setdefault(spec.seed, {})[spec.label] = spec
        for label in (of, against):
            if any(label not in arms for arms in self._seeds.values()):
                raise ValueError(f"the contrast needs {label!r} to be run until it is decided")
        self._waiting = list(self._seeds)
        self._decided: dict[str, Decision] = {}
        self._started = time.monotonic()
        self.lost = 0
        """Pairs of the primary contrast that ended without a difference."""

    def differences(self, label: str) -> list[float]:
        """Return ``label − against`` of every pair up to the first that has not ended."""
        found, lost = [], 0
        for arms in self._seeds.values():
            if label not in arms:
                break
            ours, theirs = self._look(arms[label]), self._look(arms[self.against])
            if ours is None or theirs is None:
                break
            if math.isnan(difference := ours - theirs):
                lost += 1
            else:
                found.append(difference)
        if label == self.of:
            self.lost = lost
        return found

    def _look(self, spec: RunSpec) -> float | None:
        key = (spec.seed, spec.label)
        if key not in self._known:
            value = self._value(spec)
            if value is None:
                return None
            self._known[key] = value
        return self._known[key]

    def decision(self, label: str | None = None) -> Decision:
        """Return what the pairs say of a variant against the control (default: the contrast)."""
        label = label or self.of
        known = self._decided.get(label)
        differences = self.differences(label)
        if known is None or known.pairs != len(differences):
            known = self._decided[label] = decide(differences, self.question)
        return known

    @property
    def over(self) -> bool:
        """Whether what is still under way is not needed: decided on enough pairs, or no time left."""
        enough = self.decision().pairs + self.lost >= min(self.until.least, len(self._seeds))
        return (enough and self.decision().decided) or self._left() <= 0

    @property
    def hopeless(self) -> bool:
        """Whether as many pairs as could have decided all failed."""
        return not self.decision().pairs and self.lost >= fewest()

    def next(self) -> list[RunSpec]:
        """Return the runs of the next seed; empty where there is none or the time would not do."""
        if not self._waiting or self.over or self.hopeless or self.pair_seconds() > self._left():
            return []
        # One that is stuck must not have all the others run before it.
        begun, looked_at = len(self._seeds) - len(self._waiting), self.decision().pairs + self.lost
        if begun - looked_at > self.side_by_side + 1:
            return []
        arms = self._seeds[self._waiting.pop(0)]
        others = [
            label
            for label in arms
            if label not in (self.of, self.against)
            and (self.until.others is None or begun < self.until.others)
            and not self.decision(label).decided
        ]
        return [arms[label] for label in (self.against, self.of, *others)]

    def _left(self) -> float:
        if self.until.budget is None:
            return math.inf
        return self.until.budget - (time.monotonic() - self._started)

    def pair_seconds(self) -> float:
        """Return the time that one more seed takes, from those that were run; 0 before the first."""
        totals: dict[str, list[float]] = {}
        for seed, label in self._known:
            if math.isfinite(took := self._seconds(self._seeds[seed][label])):
                totals.setdefault(label, []).append(took)
        typical = (
            sorted(values)[len(values) // 2]
            for label, values in totals.items()
            if label in (self.of, self.against)
            or (self.until.others is None and not self.decision(label).decided)
        )
        return sum(typical) / self.side_by_side

    @property
    def status(self) -> str:
        """Say in one line where it stands."""
        now = self.decision()
        pairs = "pair" if now.pairs == 1 else "pairs"
        text = f"{now.pairs} {pairs}, {now.above} higher, {now.below} lower"
        if now.decided:
            rest = "" if self.over else f"; going on to {self.until.least} pairs for the size of it"
            return f"{text}: decided after {now.at} ({now.kind}){rest}"
        if now.pairs < fewest():
            return f"{text}: undecided, at least {fewest() - now.pairs} more"
        needed = more(self.differences(self.of), self.question)
        if needed is None:
            return f"{text}: undecided, out of reach if it goes on like this"
        minutes = needed * self.pair_seconds() / 60
        return f"{text}: undecided, about {needed} more ({minutes:.1f} min) if it goes on like this"
