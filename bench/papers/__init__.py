"""Published tables as data: what was claimed, in which version, and how it can be obtained."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bench.contracts.registry import did_you_mean

if TYPE_CHECKING:
    from bench.papers.logs import LogTable

NUMBER = r"(?P<{0}>[\d.]+)(?:±(?P<{0}_sd>[\d.]+))?"
CLAIM = re.compile(rf"(?:–|{NUMBER.format('valid')})/{NUMBER.format('test')}")


@dataclass(frozen=True)
class Number:
    """A published mean with its standard deviation; NaN where none is given."""

    mean: float
    sd: float = math.nan

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if math.isnan(self.sd) else f"±{self.sd:.2f}")


@dataclass(frozen=True)
class Claim:
    """What is claimed on one data set: validation (None where not given) and test."""

    valid: Number | None
    test: Number


def parse_claim(text: Any) -> Any:
    """Read ``39.77±.50/54.30±.58``, validation/test as the papers print it; ``–`` for no number."""
    if isinstance(text, Claim):
        return text
    match = CLAIM.fullmatch(str(text))
    if match is None:
        raise ValueError(f"not of the form 39.77±.50/54.30±.58 or –/54.30: {text!r}")

    def number(part: str) -> Number | None:
        if match[part] is None:
            return None
        return Number(float(match[part]), float(match[f"{part}_sd"] or "nan"))

    return Claim(number("valid"), number("test") or Number(math.nan))


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Obtain(_Strict):
    """How a row is obtained: exactly one of a cell, the optimum, a black-box search, a GPU."""

    cell: str | None = None
    """Read off the table: this cell."""
    optimum: Literal[True] | None = None
    """Read off the table: the best of each data set."""
    blackbox: dict[str, Any] | None = None
    """A black-box search on the table, as an ablation file would name it."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """Not run here: about how many hours one seed takes on one GPU."""
    seeds: int = Field(default=1, ge=1)
    """How many seeds the paper ran; with ``gpu_hours``."""

    @model_validator(mode="after")
    def _one(self) -> Obtain:
        ways = (self.cell, self.optimum, self.blackbox, self.gpu_hours)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("need exactly one of cell, optimum, blackbox, gpu_hours")
        return self


class Row(_Strict):
    """One method of a published table."""

    method: str
    version: str
    recalled: bool = False
    """From memory of the paper: to be checked before it is cited."""
    differs: str = ""
    """Why it may differ by more than the margin, where that is known; said in the verdict."""
    note: str = ""
    """Sentences that explain how claimed and obtained differ, or may."""
    claimed: dict[str, Annotated[Claim, BeforeValidator(parse_claim)]]
    obtain: Obtain


class PaperTable(_Strict):
    """A published table."""

    title: str
    paper: str
    measure: Literal["accuracy", "error"]
    datasets: tuple[str, ...]
    margin: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Points by which means may differ and still count as the same, by data set; stated beforehand."""
    runs: int | None = Field(default=None, ge=2)
    """How many runs the published means of searches are over."""
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _known_datasets(self) -> PaperTable:
        for row in self.rows:
            if unknown := set(row.claimed) - set(self.datasets):
                raise ValueError(f"row {row.method!r} names {sorted(unknown)}, not in datasets")
        return self


def names() -> list[str]:
    """Return the names of the published tables, sorted."""
    files = (file.name for file in resources.files(__package__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


@functools.cache
def load(name: str) -> PaperTable | LogTable:
    """Read a published table: of numbers, or of claims about published search logs.

    Raises
    ------
    ValueError
        When there is none of that name; says which was perhaps meant.
    """
    if name not in names():
        raise ValueError(f"unknown table {name!r}; {did_you_mean(name, names())}")
    text = (resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    if "logs" in content:
        from bench.papers.logs import LogTable  # late: loads scipy and the space

        return LogTable.model_validate(content)
    return PaperTable.model_validate(content)
