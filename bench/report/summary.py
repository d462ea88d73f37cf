"""An output folder becomes frames and an answer: what tables and pages are made of."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.contracts.registry import did_you_mean
from bench.metrics import COLLAPSE, METRICS
from bench.ranking.correlation import tau_interval
from bench.report.contrast import Verdict, compare, decide, values
from bench.runs import store
from bench.statistics import UNDEFINED, Interval, holm, iqm, stratified_bootstrap, wilson

MANIFEST = "ablation.json"
FOLDER = re.compile(r"(?P<label>.+)-seed(?P<seed>\d+)-(?P<digest>[0-9a-f]+)")
MISSING_RUN = "missing"
"""Status of a run that was planned and has no sound result: never started, killed or damaged."""
TAU_RESAMPLES = 200


@dataclass(frozen=True)
class Summary:
    """Everything an output folder says.

    Attributes
    ----------
    root
        The output folder.
    manifest
        What was asked: ``ablation.json``.
    results
        Folder name → what `bench.runs.run` stored; only runs that have a sound result.
    runs
        One row per planned run, failed and missing ones included: label, seed, folder, status,
        error, every plain number of the result, ``collapsed`` (1 or 0) and ``cost_seconds``.
    foreign
        Run folders here that belong to other settings and are left out.
    """

    root: Path
    manifest: dict[str, Any]
    results: dict[str, dict[str, Any]]
    runs: pd.DataFrame
    foreign: int = 0

    @classmethod
    def read(cls, root: Path) -> Summary:
        """Read an output folder.

        Raises
        ------
        ValueError
            When it is no output folder of ``bench run``, or the contrast names an unknown column.
        """
        manifest = read_manifest(root)
        results, rows = {}, []
        for folder in manifest["runs"]:
            result = store.read_result(root / folder)
            if result is not None:
                named = _name(folder)
                results[folder] = result | {"label": named["label"], "seed": named["seed"]}
            rows.append(_row(folder, result, root / folder))
        runs = pd.DataFrame(rows, columns=_columns(rows))
        foreign = sum(folder.name not in manifest["runs"] for folder in store.folders(root))
        name, known = manifest["contrast"]["metric"], [*METRICS, *numeric(runs)]
        if name not in known:
            where = f"{root / MANIFEST}: contrast.metric"
            raise ValueError(
                f"{where}: no column {name!r} in the results; {did_you_mean(name, known)}"
            )
        return cls(root, manifest, results, runs, foreign)

    @property
    def any_ok(self) -> bool:
        """Whether at least one run finished well."""
        return bool((self.runs["status"] == "ok").any())

    @property
    def labels(self) -> list[str]:
        """The variants, in the order of the ablation file; only those that were planned here."""
        order = [arm["label"] for arm in self.manifest["arms"]]
        planned = list(dict.fromkeys(self.runs["label"]))
        return [label for label in order if label in planned] + [
            x for x in planned if x not in order
        ]

    @cached_property
    def verdict(self) -> Verdict:
        """The answer in parts."""
        return decide(self.runs, self.manifest["contrast"])

    @property
    def answer(self) -> str:
        """The answer in sentences: effect, interval, seeds, p, failures, whether it suffices."""
        return self.verdict.sentence

    @property
    def unknown(self) -> str:
        """Say how many derived cells the truth does not know; empty where it knows all."""
        ok = self.runs[self.runs["status"] == "ok"]
        judged = [
            row
            for _, row in ok.iterrows()
            if isinstance(self.results.get(str(row["folder"]), {}).get("truth"), dict)
        ]
        lost = len(judged) - int(
            np.isfinite([float(row.get("true_accuracy") or math.nan) for row in judged]).sum()
        )
        if not lost:
            return ""
        return (
            f"The truth does not know the derived cell of {lost} of {len(judged)} finished "
            "runs: their true accuracy, regret and percentile are missing, and what is said of "
            "these holds for the other runs only."
        )

    def rankings(self, label: str) -> dict[int, pd.DataFrame]:
        """Return the stored scores of a variant's finished runs, by seed."""
        found = {}
        for row in self.runs[
            (self.runs["label"] == label) & (self.runs["status"] == "ok")
        ].itertuples():
            path = self.root / str(row.folder) / store.RANKING
            if path.is_file():
                found[int(str(row.seed))] = pd.read_parquet(path)
        return found

    @cached_property
    def variants(self) -> pd.DataFrame:
        """One row per variant.

        ``planned``, ``ok``, ``failed`` (all that did not finish) and ``statuses`` (how those
        ended); for every metric its estimate and ``_low``, ``_high`` (95 %) and ``_n``; then,
        against the contrast's other variant on its metric: ``difference`` with
        bounds, ``pairs``, ``ties``, ``p``, ``p_holm`` (over all variants
        compared), ``improvement``, ``delta``.

        Estimates are interquartile means over finished runs with a bootstrap interval over seeds.
        The two τ are means with a bootstrap over seeds and, within them, architectures; the
        collapse rate has a Wilson interval.
        """
        rows = []
        for label in self.labels:
            mine = self.runs[self.runs["label"] == label]
            ok = int((mine["status"] == "ok").sum())
            row: dict[str, Any] = {
                "label": label, "planned": len(mine), "ok": ok, "failed": len(mine) - ok,
                "statuses": ", ".join(
                    f"{n} {str(kind).replace('_', ' ')}"
                    for kind, n in mine.loc[mine["status"] != "ok", "status"].value_counts().items()
                ),
            }  # fmt: skip
            rankings = self.rankings(label)
            for name in dict.fromkeys([*METRICS, self.manifest["contrast"]["metric"]]):
                sample = values(self.runs, label, name)
                interval = self._interval(name, sample, rankings)
                row |= {
                    name: interval.estimate,
                    f"{name}_low": interval.low,
                    f"{name}_high": interval.high,
                }
                row[f"{name}_n"] = len(sample)
            rows.append(row | self._against(label))
        table = pd.DataFrame(rows)
        compared = table["label"] != self.manifest["contrast"]["against"]
        table["p_holm"] = np.nan
        table.loc[compared, "p_holm"] = holm(table.loc[compared, "p"])
        return table

    def _interval(
        self, name: str, sample: pd.Series[float], rankings: dict[int, pd.DataFrame]
    ) -> Interval:
        if name == "collapsed":
            return wilson(int(sample.sum()), len(sample))
        if sample.empty:
            return UNDEFINED
        if name in ("tau", "tau_loss") and len(rankings) == len(sample):
            column, sign = ("accuracy", 1) if name == "tau" else ("loss", -1)
            first = next(iter(rankings.values()))
            if all(frame["arch"].equals(first["arch"]) for frame in rankings.values()):
                scores = np.stack([sign * frame[column].to_numpy() for frame in rankings.values()])
                nested = tau_interval(
                    scores, first["truth"], resamples=TAU_RESAMPLES, seed=0,
                    weights=first.get("weight"), strata=first.get("stratum"),
                )  # fmt: skip
                return Interval(float(sample.mean()), nested.low, nested.high)
        estimate = iqm(sample)
        if len(sample) == 1:  # resampling one run would give an interval without width
            return Interval(estimate, math.nan, math.nan)
        return stratified_bootstrap([sample], seed=0, resamples=1000)

    def _against(self, label: str) -> dict[str, Any]:
        contrast = self.manifest["contrast"]
        result = compare(self.runs, contrast["metric"], label, contrast["against"])
        if label == contrast["against"]:
            numbers = (
                "difference",
                "difference_low",
                "difference_high",
                "improvement",
                "delta",
                "p",
            )
            return {"pairs": 0, "ties": 0} | dict.fromkeys(numbers, math.nan)
        return {
            "difference": result.difference.estimate,
            "difference_low": result.difference.low, "difference_high": result.difference.high,
            "pairs": len(result.seeds), "ties": result.ties, "p": result.p,
            "improvement": result.improvement, "delta": result.delta,
        }  # fmt: skip

    @cached_property
    def history(self) -> pd.DataFrame:
        """What was recorded per epoch, long: label, seed, status, epoch, metric, value."""
        columns = ["label", "seed", "status", "epoch", "metric", "value"]
        rows = [
            (r["label"], r["seed"], r["status"], entry["epoch"], name, float(value))
            for r in self.results.values()
            for entry in r.get("history", [])
            for name, value in entry.items()
            if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
        ]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def alphas(self) -> pd.DataFrame:
        """Softmax of alpha per epoch, long: label, seed, epoch, edge, operation, share."""
        columns = ["label", "seed", "epoch", "edge", "operation", "share"]
        rows: list[tuple[Any, ...]] = []
        for result in self.results.values():
            names = self.space(result["label"])
            for entry in result.get("history", []):
                alpha = np.array(entry.get("alpha") or [], dtype=float)
                if names is None or alpha.shape != (len(names[0]), len(names[1])):
                    continue
                powers = np.exp(alpha - alpha.max(axis=1, keepdims=True))
                share = powers / powers.sum(axis=1, keepdims=True)
                rows += [
                    (
                        result["label"],
                        result["seed"],
                        entry["epoch"],
                        edge,
                        operation,
                        float(share[i, j]),
                    )
                    for i, edge in enumerate(names[0])
                    for j, operation in enumerate(names[1])
                    if math.isfinite(share[i, j])
                ]
        return pd.DataFrame(rows, columns=columns)

    def settings(self, label: str) -> dict[str, Any]:
        """Return a variant's settings as the manifest has them; empty where it has none."""
        arms = {arm["label"]: arm for arm in self.manifest["arms"]}
        settings = arms.get(label, {}).get("settings", {})
        return settings if isinstance(settings, dict) else {}

    def space(self, label: str) -> tuple[list[str], list[str]] | None:
        """Return the names of a variant's edges and operations; None where its space is unknown."""
        from bench.contracts import registry

        try:
            space = registry.parse("spaces", self.settings(label).get("space"))
        except ValueError:
            return None
        return space.edge_names, list(space.operations)

    def as_json(self) -> str:
        """Return everything but the histories as JSON; what is not a number is null."""
        comparison = self.verdict.comparison
        content = {
            "name": self.manifest["name"],
            "question": self.manifest["question"],
            "contrast": self.manifest["contrast"],
            "answer": self.answer,
            "verdict": self.verdict.kind,
            "difference": list(comparison.difference),
            "p": comparison.p,
            "seeds": list(comparison.seeds),
            "differences": list(comparison.differences),
            "command": self.manifest.get("command", ""),
            "variants": self.variants.to_dict("records"),
            "runs": self.runs.to_dict("records"),
        }
        return json.dumps(_plain(content), indent=1, allow_nan=False)


def read_manifest(root: Path) -> dict[str, Any]:
    """Read ``ablation.json``; raises ValueError with one line where it is not what it should be."""
    path = root / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: {root} is no output folder of `bench run`") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(manifest, dict) or not {"question", "contrast", "arms", "runs"} <= set(
        manifest
    ):
        raise ValueError(f"{path}: expected question, contrast, arms and runs")
    for folder in manifest["runs"]:
        if (
            not isinstance(folder, str)
            or not FOLDER.fullmatch(folder)
            or Path(folder).name != folder
        ):
            raise ValueError(f"{path}: runs: {folder!r} is not the name of a run folder")
    if not {"metric", "of", "against"} <= set(manifest["contrast"]):
        raise ValueError(f"{path}: contrast: expected metric, of and against")
    return {"name": root.name, "profile": "", "command": "", "seeds": [], **manifest}


def _name(folder: str) -> dict[str, Any]:
    named = FOLDER.fullmatch(folder)
    assert named is not None  # checked when the manifest was read
    return {"label": named["label"], "seed": int(named["seed"]), "folder": folder}


def _row(folder: str, result: dict[str, Any] | None, path: Path) -> dict[str, Any]:
    """Return one run as a row; what was planned and is not there becomes a missing run."""
    row = _name(folder)
    if result is None:
        return row | {"status": MISSING_RUN, "error": _why_missing(path)}
    plain = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    row |= {"status": str(result.get("status", "failed")), "error": result.get("error", "")}
    row |= {key: value for key, value in plain.items() if key not in row}
    stopped = result.get("stopped") or {}
    row |= {"stopped_epoch": stopped.get("epoch"), "stopped_reason": stopped.get("reason")}
    share = plain.get("weight_free_share")
    row["collapsed"] = None if share is None else float(share >= COLLAPSE - 1e-9)
    search, ranking = plain.get("search_seconds"), plain.get("ranking_seconds")
    row["cost_seconds"] = plain.get("seconds") if search is None else search + (ranking or 0.0)
    return row


def _why_missing(path: Path) -> str:
    if (path / store.RESULT).exists():
        return "its result is damaged"
    last = store.read_progress(path).get("epoch")
    return "no result; never started" if last is None else f"no result; last seen in epoch {last}"


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    first = ["label", "seed", "status", "error", "folder"]
    return list(dict.fromkeys([*first, *(key for row in rows for key in row)]))


def numeric(runs: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers and may be compared."""
    return [
        str(name) for name in runs.columns
        if name not in ("seed", "schema") and pd.api.types.is_numeric_dtype(runs[name])
        and not pd.api.types.is_bool_dtype(runs[name])
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    """Turn numpy and NaN into what JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
