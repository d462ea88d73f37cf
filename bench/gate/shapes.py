"""What a baseline and a line of its history hold: what is looked at, by name and type."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.gate.searches import METRICS
from bench.gate.seedbank import BANK
from bench.gate.traces import TOLERANCES
from bench.shapes import Grid, Number, Seed, Shape


def _kind(part: str) -> str:
    if part.split("_")[0] not in TOLERANCES:
        raise ValueError(f"no tolerance is known for {part[:40]!r}")
    return part


def _over_time(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError("expected a list over steps, epochs or cells")
    return value


def _speed(value: Any) -> Any:
    if not (
        isinstance(value, list) and [type(part) for part in value] in ([int, str], [float, str])
    ):
        raise ValueError("expected a number and its unit")
    return value


Part = Annotated[str, AfterValidator(_kind)]
Trace = Annotated[Grid, BeforeValidator(_over_time)]


class Rule(Shape):
    """How the bank is judged by."""

    k: Annotated[int, Field(ge=1, le=BANK)]
    margins: dict[str, Number]
    detectable: dict[str, Number]


class Recorded(Shape):
    """``gate.json``."""

    gate: str
    reason: str
    provenance: dict[str, str]
    rule: Rule
    truth: dict[str, str | int | None]
    bank: dict[str, Annotated[list[Number], Field(min_length=1)]]
    traces: dict[str, dict[Part, Trace]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, found in (("bank", self.bank), *self.rule):
            if isinstance(found, dict) and set(found) != set(METRICS):
                where = name if name == "bank" else f"rule.{name}"
                raise ValueError(f"{where}: not of the metrics {', '.join(METRICS)}")
        lengths = {len(values) for values in self.bank.values()}
        if len(lengths) > 1 or self.rule.k > min(lengths):
            raise ValueError(f"bank: not one length of at least rule.k ({self.rule.k})")
        return self


class Line(Shape):
    """A line of ``history.jsonl``: a check, or a baseline that was accepted."""

    kind: Literal["baseline", "check"]
    date: str
    metrics: dict[str, list[Number | None]]
    commit: str | None = None
    verdict: str | None = None
    reason: str | None = None
    seeds: list[Seed] | None = None
    speed: dict[str, Annotated[Any, BeforeValidator(_speed)]] | None = None
