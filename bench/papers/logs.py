"""Published search logs replayed: what their authors' claims are when their own numbers are asked.

RobustDARTS published, for searches on S1, the eigenvalues along each search, the genotype it ended with
and its last validation error. Nothing is trained here: stopping rules are run on the series, genotypes
are counted, and correlations come with an interval over settings, since the seeds of one setting are no
settings of their own.
"""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict
from scipy import stats

from bench.contracts import registry
from bench.files import open_regular
from bench.ranking.correlation import tau_b
from bench.statistics import Floats, Interval
from bench.variants._eigenvalue import RULES, Rule, RuleName
from bench.written import one_line

FILES = ("eigenvalues.csv", "results_arch.yaml", "results_perf.yaml")
SETTING = ["drop_path", "weight_decay"]
PLAIN = (0.0, 3e-4)
"""Drop-path and weight decay of plain DARTS in these logs."""
LAST = 5
"""Measurements whose mean is the sharpness that a search ended with, as many as the rules average."""
RESAMPLES = 1000
LARGEST = 4_000_000
"""Bytes of a file that is read; the published ones have 60,000."""


class LogClaim(BaseModel):
    """One claim and the measure of the logs that it is put beside."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    says: str
    claimed: str
    recalled: bool = False
    """From memory of the paper: to be checked before it is cited."""
    measure: str
    unit: str
    note: str = ""


class LogTable(BaseModel):
    """Claims about published search logs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    paper: str
    source: str
    logs: tuple[LogClaim, ...]

    @property
    def rows(self) -> tuple[LogClaim, ...]:
        """The claims."""
        return self.logs


@dataclass(frozen=True)
class Obtained:
    """What the logs say of a claim: a number, its interval (NaN bounds where there is none), searches."""

    claim: LogClaim
    value: Interval
    searches: int


def read(folder: Path) -> pd.DataFrame:
    """Read the logs into one row per search.

    Columns: drop_path, weight_decay, run, ``error`` (the last validation error in percent), ``skips_normal``,
    ``skips_reduce``, ``weight_free`` (share of all kept edges), ``sharpness`` (mean of the last five
    eigenvalues), ``stop_<rule>`` and ``chosen_<rule>`` (epochs counted from 1; NaN where the rule lets the
    search run to its end), ``rise`` (largest ratio of two averages that the code's rule compares).

    Raises
    ------
    ValueError
        One line naming the file, and the setting where it is one.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder / name} is missing: name the folder of the published logs, which holds "
                f"{', '.join(FILES)}, with --logs or in BENCH_ROBUSTDARTS"
            )
    errors = _by_search(folder / "results_perf.yaml")
    cells, series = _by_search(folder / "results_arch.yaml"), _series(folder / "eigenvalues.csv")
    rows = []
    for key in sorted({*errors, *cells, *series}):
        row: dict[str, Any] = dict(zip((*SETTING, "run"), key, strict=True))
        row["error"] = float(errors.get(key, math.nan))
        row |= _counted(cells.get(key), folder / "results_arch.yaml")
        row |= _replayed(series.get(key))
        rows.append(row)
    return pd.DataFrame(rows)


Key = tuple[float, float, int]


def _by_search(path: Path) -> dict[Key, Any]:
    """Read ``{space: {<drop_path>_<weight_decay>: {run: value}}}`` of the one space there is."""
    try:
        with open_regular(path, LARGEST) as file:
            content = yaml.safe_load(file.read(LARGEST))
        (settings,) = content.values()
        return {
            (*(float(part) for part in str(name).split("_")), int(run)): value  # type: ignore[misc]
            for name, runs in settings.items()
            for run, value in runs.items()
        }
    except (OSError, yaml.YAMLError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read: {one_line(error)}") from None


def _series(path: Path) -> dict[Key, list[float]]:
    """Return the eigenvalues at epochs 0, 2, 4, … (from 0) of every search whose series is whole."""
    found: dict[Key, dict[int, float]] = {}
    with open_regular(path, LARGEST) as file:
        text = io.StringIO(file.read(LARGEST).decode("utf-8", "replace"), newline="")
        for number, row in enumerate(csv.DictReader(text), start=2):
            try:
                key = (float(row["drop_path"]), float(row["weight_decay"]), int(row["run"]))
                epoch, value = int(row["epoch"]), float(row["largest"])
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{path}:{number}: not a row of published eigenvalues") from None
            if epoch % 2 == 0:  # the last epoch, an odd one, is measured besides
                found.setdefault(key, {})[epoch] = value
    whole = {
        key: own for key, own in found.items() if sorted(own) == list(range(0, max(own) + 2, 2))
    }
    return {key: [own[epoch] for epoch in sorted(own)] for key, own in whole.items()}


@functools.cache
def _space() -> Any:
    return registry.parse("spaces", {"name": "darts", "preset": "s1", "channels": 4, "layers": 3})


def _counted(genotype: Any, path: Path) -> dict[str, float]:
    if genotype is None:
        return dict.fromkeys(("skips_normal", "skips_reduce", "weight_free"), math.nan)
    try:
        told = _space().describe(_space().decode(str(genotype)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return {
        "skips_normal": told["skip_count_normal"],
        "skips_reduce": told["skip_count_reduce"],
        "weight_free": told["weight_free_share"],
    }


def rule_of(name: RuleName) -> Rule:
    """Return a rule for eigenvalues after epochs 1, 3, 5, … (from 1), which is what the logs have.

    That is the code's own rule. The paper's counts in epochs; here its five are five measurements.
    """
    return replace(RULES[name], every=2, offset=1)


def replay(name: RuleName, values: list[float]) -> tuple[int, int] | None:
    """Return the epoch at which a rule stops a series and the epoch that then counts, from 1."""
    rule = rule_of(name)
    for n in range(1, len(values) + 1):
        if (target := rule.verdict(values[:n])) is not None:
            return rule.epoch_of(n), target
    return None


def _replayed(values: list[float] | None) -> dict[str, float]:
    if values is None:
        names = [f"{what}_{rule}" for rule in RULES for what in ("stop", "chosen")]
        return dict.fromkeys(("sharpness", "rise", *names), math.nan)
    found = {"sharpness": float(np.mean(values[-LAST:]))}
    rule = rule_of("code")
    means = np.convolve(values, np.ones(rule.window) / rule.window, "valid")
    found["rise"] = float((means[rule.gap :] / means[: -rule.gap]).max())
    for name in RULES:
        stop, chosen = replay(name, values) or (math.nan, math.nan)
        found |= {f"stop_{name}": stop, f"chosen_{name}": chosen}
    return found


Measure = Callable[[pd.DataFrame], float]


def _plain(frame: pd.DataFrame) -> pd.Series[bool]:
    return (frame["drop_path"] == PLAIN[0]) & (frame["weight_decay"] == PLAIN[1])


def _pearson(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _spearman(one: Floats, other: Floats) -> float:
    return _pearson(stats.rankdata(one), stats.rankdata(other))


def _correlation(
    frame: pd.DataFrame, one: str, other: str, kind: Callable[[Floats, Floats], float]
) -> float:
    a, b = frame[one].to_numpy(dtype=float), frame[other].to_numpy(dtype=float)
    there = np.isfinite(a) & np.isfinite(b)
    a, b = a[there], b[there]
    return kind(a, b) if len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0 else math.nan


def _stopped(frame: pd.DataFrame, rule: str) -> float:
    own = frame[frame["sharpness"].notna()]
    return float(own[f"stop_{rule}"].notna().mean()) if len(own) else math.nan


MEASURES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], Measure]] = {
    "skips_plain": (lambda f: f[_plain(f)], lambda f: float(f["skips_normal"].mean())),
    "skips_by_decay": (
        lambda f: f[f["drop_path"] == PLAIN[0]],
        lambda f: _correlation(f, "weight_decay", "skips_normal", tau_b),
    ),
    "skips_by_drop_path": (
        lambda f: f[f["weight_decay"] == PLAIN[1]],
        lambda f: _correlation(f, "drop_path", "skips_normal", tau_b),
    ),
    "sharpness_and_error": (
        lambda f: f[f["sharpness"].notna()],
        lambda f: _correlation(f, "sharpness", "error", _pearson),
    ),
    "sharpness_and_error_plain": (
        lambda f: f[f["sharpness"].notna() & (f["weight_decay"] == PLAIN[1])],
        lambda f: _correlation(f, "sharpness", "error", _pearson),
    ),
    "sharpness_and_skips": (
        lambda f: f[f["sharpness"].notna()],
        lambda f: _correlation(f, "sharpness", "skips_normal", _spearman),
    ),
    "stopped_code": (lambda f: f[_plain(f)], lambda f: _stopped(f, "code")),
    "stopped_paper": (lambda f: f[_plain(f)], lambda f: _stopped(f, "paper")),
    "stopped_regularised": (
        lambda f: f[~_plain(f) & f["sharpness"].notna()],
        lambda f: _stopped(f, "code"),
    ),
}
"""Name → which searches it is of, and the number."""


def obtain(table: LogTable, frame: pd.DataFrame) -> list[Obtained]:
    """Put a number beside every claim."""
    found = []
    for claim in table.logs:
        if claim.measure not in MEASURES:
            raise ValueError(f"no measure {claim.measure!r} of search logs")
        part, measure = MEASURES[claim.measure]
        own = part(frame)
        found.append(Obtained(claim, bootstrapped(own, measure), len(own)))
    return found


def bootstrapped(frame: pd.DataFrame, measure: Measure) -> Interval:
    """Return a measure with percentile bounds from drawing settings again, seeds within them.

    No bounds from fewer than five settings: those of so few are no interval.
    """
    value = measure(frame)
    settings = list(frame.groupby(SETTING).indices.values())
    if len(settings) < LAST or not math.isfinite(value):
        return Interval(value, math.nan, math.nan)
    draws = np.random.default_rng(0)
    values = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = [settings[j] for j in draws.integers(len(settings), size=len(settings))]
        seeds = np.concatenate([draws.choice(own, size=len(own)) for own in drawn])
        values[i] = measure(frame.iloc[seeds])
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(value, float(low), float(high))
