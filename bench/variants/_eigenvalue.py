"""Watching the largest eigenvalue of the α-Hessian: what early stopping and DARTS-ADA share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.contracts.variant import Stop, Variant
from bench.instruments.alpha_hessian import AlphaHessian

if TYPE_CHECKING:
    from bench.contracts.search import SearchView, StateView

PAPER = (
    "Zela et al. 2020, Understanding and Robustifying Differentiable Architecture Search "
    "(RobustDARTS), arXiv:1909.09656"
)
READING = "stop_eigenvalue"
"""The eigenvalue that a search watched, in its history."""


@dataclass(frozen=True)
class Rule:
    """When the smoothed eigenvalue has risen too fast, and which epoch then counts.

    Attributes
    ----------
    every
        Epochs between two measurements.
    window
        Measurements that are averaged; the last of them is the present one.
    gap
        Measurements between the two averages that are compared.
    back
        Measurements to go back.
    first
        The earliest epoch that may be gone back to, counted from 1.
    offset
        The first measurement is after so many epochs, further ones every ``every``; 0: after
        ``every``.
    at_end
        Whether the last epoch of a search counts too.
    rises
        (earlier average, present average) → whether that is too much.
    """

    every: int
    window: int
    gap: int
    back: int
    first: int
    at_end: bool
    rises: Callable[[float, float], bool]
    offset: int = 0

    def measures(self, epoch: int) -> bool:
        """Say whether a measurement is due after so many epochs."""
        return epoch % self.every == self.offset % self.every

    def epoch_of(self, measurement: int) -> int:
        """Return after how many epochs a measurement, counted from 1, is made."""
        return (measurement - 1) * self.every + (self.offset or self.every)

    def count(self, epoch: int) -> int:
        """Count the measurements up to an epoch."""
        return (epoch - (self.offset or self.every)) // self.every + 1

    def verdict(self, values: Sequence[float]) -> int | None:
        """Return the epoch to go back to; None while all is well.

        Parameters
        ----------
        values
            The eigenvalue at every measurement, up to now.
        """
        target = self.epoch_of(len(values) - self.back)
        if len(values) < self.gap + self.window or target < self.first:
            return None
        now = sum(values[-self.window :]) / self.window
        earlier = sum(values[-self.gap - self.window : -self.gap]) / self.window
        return target if self.rises(earlier, now) else None


RuleName = Literal["paper", "trailing", "code"]
RULES: dict[RuleName, Rule] = {
    "paper": Rule(
        every=1, window=5, gap=5, back=7, first=1, at_end=True,
        rises=lambda earlier, now: now > 0 and earlier / now < 0.75,
    ),
    "trailing": Rule(
        every=1, window=5, gap=5, back=5, first=1, at_end=True,
        rises=lambda earlier, now: now > 0 and earlier / now < 0.75,
    ),
    "code": Rule(
        every=2, window=5, gap=4, back=6, first=11, at_end=False,
        rises=lambda earlier, now: earlier > 0 and now / earlier > 1.3, offset=1,
    ),
}  # fmt: skip
"""See `bench.variants.hessian_early_stop` for all in words."""


class EigenvalueRule(Variant):
    """Measures the eigenvalue after an epoch and acts when the rule says that it rose too fast."""

    paper: ClassVar[str] = PAPER
    off: ClassVar[dict[str, Any] | None] = {"rule": None}

    rule: RuleName | None = Field("paper", description="whose criterion; null: none")
    every: int | None = Field(
        None, ge=1, description="epochs between measurements; null: the rule's own (1, code: 2)"
    )
    first: int | None = Field(
        None, ge=1, description="no earlier epoch counts; null: the rule's own (1, code: 11)"
    )
    probe: Literal["official", "frozen"] = Field(
        "official", description="what `alpha_hessian` measures on: one batch, or frozen ones"
    )
    batches: int = Field(8, ge=1, description="frozen batches")

    def chosen(self, first: int = 1) -> Rule | None:
        """Return the rule with the parameters that stand beside it, at the earliest ``first``."""
        if self.rule is None:
            return None
        rule = RULES[self.rule]
        earliest = max(first, self.first or rule.first)
        every = self.every or rule.every
        return replace(rule, every=every, first=earliest, offset=min(rule.offset, every))

    def after_epoch(self, setup: SearchView, state: StateView) -> None:
        """Measure, and put the eigenvalue into the memory and the history."""
        rule = self.chosen()
        if rule is None or not rule.measures(state.epoch):
            return
        instrument = AlphaHessian(mode="lanczos", probe=self.probe, batches=self.batches)
        value = instrument.observe(setup, state)["hessian_eigenvalue_max"]
        state.memory.setdefault(self.name, {"values": []})["values"].append(value)
        state.history[-1][READING] = value

    def stop(self, setup: SearchView, state: StateView) -> Stop | None:
        """Ask the rule."""
        rule = self.chosen(state.memory.get(self.name, {}).get("first", 1))
        if rule is None or not rule.measures(state.epoch):
            return None
        if state.epoch == setup.settings.search.epochs and not rule.at_end:
            return None
        return self.decide(setup, state, rule)

    @abstractmethod
    def decide(self, setup: SearchView, state: StateView, rule: Rule) -> Stop | None:
        """Act on the measurements so far, ``state.memory[name]["values"]``."""
