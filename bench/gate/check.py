"""One check of the working tree: both layers, and the verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.gate import invariants, searches, traces
from bench.gate.baseline import Baseline, Notify, provenance
from bench.gate.seedbank import CONFIRMING, FRESH, Judgement, judge
from bench.gate.traces import Finding
from bench.streams import seed_of

Verdict = Literal["green", "changed", "regressed"]


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes
    ----------
    draw
        What the fresh seeds were derived from; the same again gives the same seeds.
    judgements
        Of the statistical layer; empty where only the deterministic one was asked for.
    speed
        Benchmark → (value, unit), to be tracked, never judged.
    """

    baseline: Baseline
    findings: list[Finding]
    judgements: list[Judgement]
    draw: str
    seeds: list[int]
    seconds: float
    provenance: dict[str, str]
    speed: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """``regressed`` by the bank, ``changed`` by a trace or an invariant, or ``green``."""
        if any(j.status == "regressed" for j in self.judgements):
            return "regressed"
        return "green" if all(finding.ok for finding in self.findings) else "changed"

    @property
    def other_versions(self) -> list[str]:
        """What differs from where the baseline was recorded and may move a trace."""
        names = ("torch", "machine")
        recorded = self.baseline.provenance
        return [
            f"{n} {self.provenance[n]} here, {recorded.get(n)} in the baseline"
            for n in names
            if recorded.get(n) != self.provenance[n]
        ]

    def line(self) -> dict[str, Any]:
        """Return what the history keeps of it."""
        return {
            "kind": "check",
            **self.provenance,
            "verdict": self.verdict,
            "draw": self.draw,
            "seeds": self.seeds,
            "seconds": round(self.seconds, 1),
            "metrics": {j.metric: [*j.fresh, *j.confirming] for j in self.judgements},
            "speed": {name: list(found) for name, found in self.speed.items()},
        }


def fresh_seeds(draw: str) -> list[int]:
    """Return the seeds of a check, first the fresh, then the confirming ones.

    They depend on what is checked, so that no luck is permanent, and are never those of the bank.
    """
    return [1000 + seed_of("gate", draw, i) % 10**9 for i in range(FRESH + CONFIRMING)]


def deterministic(baseline: Baseline) -> list[Finding]:
    """Run the first layer."""
    found = traces.compare(baseline.traces, traces.record())
    return [*found, *invariants.findings(baseline.truth)]


def statistical(
    baseline: Baseline, seeds: list[int], jobs: int, notify: Notify
) -> tuple[list[Judgement], list[int]]:
    """Run the second layer; returns its judgements and the seeds that were needed."""

    def judged(values: dict[int, searches.Numbers]) -> list[Judgement]:
        first, more = list(values)[:FRESH], list(values)[FRESH:]
        return [
            judge(
                name,
                bank,
                [values[s][name] for s in first],
                [values[s][name] for s in more],
                baseline.k,
                baseline.margins[name],
            )
            for name, bank in baseline.bank.items()
        ]

    values = searches.outcomes(seeds[:FRESH], jobs, notify)
    judgements = judged(values)
    if suspects := [j.metric for j in judgements if j.status == "suspect"]:
        notify(f"suspect: {', '.join(suspects)}; {CONFIRMING} confirming seeds")
        values |= searches.outcomes(seeds[FRESH:], jobs, notify)
        judgements = judged(values)
    return judgements, list(values)


def check(
    baseline: Baseline,
    draw: str,
    *,
    jobs: int = 1,
    quick: bool = False,
    speed: dict[str, tuple[float, str]] | None = None,
    notify: Notify = lambda text: None,
) -> Report:
    """Check the working tree.

    Parameters
    ----------
    baseline
        What was recorded and accepted.
    draw
        What the fresh seeds are derived from, usually the commit.
    jobs
        Processes side by side.
    quick
        Run the deterministic layer only.
    speed
        Step → seconds and the commit of what was measured; shown, never judged.
    notify
        Is told what is being done.

    Returns
    -------
    Report
        What was found, and whether it is a regression.
    """
    started = time.monotonic()
    notify("deterministic layer")
    findings = deterministic(baseline)
    judgements: list[Judgement] = []
    seeds: list[int] = []
    if not quick:
        seeds = fresh_seeds(draw)
        notify(f"fresh seeds {', '.join(map(str, seeds[:FRESH]))}, from {draw!r}")
        judgements, seeds = statistical(baseline, seeds, jobs, notify)
    return Report(
        baseline,
        findings,
        judgements,
        draw,
        seeds,
        time.monotonic() - started,
        provenance(),
        speed or {},
    )
