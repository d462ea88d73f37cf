"""An output folder becomes frames and an answer: what tables and pages are made of."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.contracts.registry import did_you_mean
from bench.contracts.space import Space
from bench.metrics import METRICS, metric
from bench.ranking.correlation import tau_interval
from bench.ranking.scores import read_scores
from bench.report import arms
from bench.report.alike import unlike, without, without_mixed
from bench.report.contrast import Verdict, compare, decide, values
from bench.report.missing import as_numbers, reasons
from bench.report.rows import columns_of, name_of, numeric, read_run, row_of
from bench.runs import store
from bench.runs.manifest import MANIFEST, read_manifest, statement
from bench.runs.packed import Packed, is_packed, scores_of
from bench.statistics import (
    UNDEFINED,
    Interval,
    holm,
    iqm,
    seeds_needed,
    stratified_bootstrap,
    wilson,
)
from bench.written import finite

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
    mixed
        A sentence for every variant whose runs were not made or judged alike: the numbers
        concerned are missing in ``runs``.
    """

    root: Path
    manifest: dict[str, Any]
    results: dict[str, dict[str, Any]]
    runs: pd.DataFrame
    foreign: int = 0
    mixed: tuple[str, ...] = ()

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
        kept = Packed.read(root) if is_packed(root) else None
        for folder in manifest["runs"]:
            if kept is None:
                result, problem = read_run(root / folder)
            else:
                result = kept.results.get(folder)
                problem = kept.problems.get(folder, "no result was packed")
            if result is not None:
                named = name_of(folder)
                results[folder] = result | {"label": named["label"], "seed": named["seed"]}
            rows.append(row_of(folder, result, problem))
        runs = as_numbers(pd.DataFrame(rows, columns=columns_of(rows)))
        runs, notes = without_mixed(runs, results, numeric(runs))
        foreign = sum(folder.name not in manifest["runs"] for folder in store.folders(root))
        name = manifest["contrast"]["metric"]
        known = list(dict.fromkeys([*METRICS, *numeric(runs)]))
        if name not in known:
            where = f"{root / MANIFEST}: contrast.metric"
            raise ValueError(
                f"{where}: no column {name!r} in the results; {did_you_mean(name, known)}"
            )
        return cls(root, manifest, results, runs, foreign, notes)

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
        contrast = self.manifest["contrast"]
        looks = list(self.manifest["seeds"]) if self.manifest.get("until") else None
        return decide(self._comparable(contrast["of"], contrast["against"]), contrast, looks)

    def of(self, label: str) -> list[dict[str, Any]]:
        """Return the stored results of a variant."""
        return [result for result in self.results.values() if result["label"] == label]

    def _comparable(self, of: str, against: str) -> pd.DataFrame:
        """Return the runs without those numbers of ``of`` that were measured by another measure."""
        return without(self.runs, of, unlike(self.of(of), self.of(against)), numeric(self.runs))

    @property
    def answer(self) -> str:
        """The answer in sentences: effect, interval, seeds, p, failures, whether it suffices."""
        return self.verdict.sentence

    @property
    def stated(self) -> str:
        """Say when the contrast was stated, and what became of it since."""
        return statement(self.manifest)[0]

    @property
    def changed(self) -> str:
        """Warn where the contrast was stated or changed when results were known; else empty."""
        text, before = statement(self.manifest)
        return "" if before else f"The primary contrast: {text}. Read the answer as exploratory."

    @property
    def unknown(self) -> str:
        """Say which cells the truth does not know and why a τ is undefined; empty where all is there."""
        return " ".join(reasons(self.runs, self.results))

    @cached_property
    def _scores(self) -> dict[str, dict[int, pd.DataFrame]]:
        return {}

    def rankings(self, label: str) -> dict[int, pd.DataFrame]:
        """Return the stored scores of a variant's finished runs, by seed; read once."""
        if label in self._scores:
            return self._scores[label]
        found = self._scores[label] = dict[int, pd.DataFrame]()
        for row in self.runs[
            (self.runs["label"] == label) & (self.runs["status"] == "ok")
        ].itertuples():
            path = scores_of(self.root, str(row.folder))
            if path.is_file():
                found[int(str(row.seed))] = read_scores(path)
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
                "label": label,
                "planned": len(mine),
                "ok": ok,
                "failed": len(mine) - ok,
                "statuses": ", ".join(
                    f"{n} {str(kind).replace('_', ' ')}"
                    for kind, n in mine.loc[mine["status"] != "ok", "status"].value_counts().items()
                ),
            }
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
        if sample.empty:
            return UNDEFINED
        if metric(name).binary:
            return wilson(int(sample.sum()), len(sample))
        if len(sample) < seeds_needed():  # as for the contrast: the values are what there is
            mean = name in ("tau", "tau_loss")
            return Interval(float(sample.mean()) if mean else iqm(sample), math.nan, math.nan)
        if name in ("tau", "tau_loss") and len(rankings) == len(sample):
            column, sign = ("accuracy", 1) if name == "tau" else ("loss", -1)
            first = next(iter(rankings.values()))
            if all(frame["arch"].equals(first["arch"]) for frame in rankings.values()):
                scores = np.stack([sign * frame[column].to_numpy() for frame in rankings.values()])
                nested = tau_interval(
                    scores,
                    first["truth"],
                    resamples=TAU_RESAMPLES,
                    seed=0,
                    weights=first.get("weight"),
                    strata=first.get("stratum"),
                )
                return Interval(float(sample.mean()), nested.low, nested.high)
        return stratified_bootstrap([sample], seed=0, resamples=1000)

    def _against(self, label: str) -> dict[str, Any]:
        contrast = self.manifest["contrast"]
        runs = self._comparable(label, contrast["against"])
        result = compare(runs, contrast["metric"], label, contrast["against"])
        if label == contrast["against"]:
            bounds = ("difference", "difference_low", "difference_high")
            numbers = (*bounds, "improvement", "delta", "p")
            return {"pairs": 0, "ties": 0} | dict.fromkeys(numbers, math.nan)
        return {
            "difference": result.difference.estimate,
            "difference_low": result.difference.low,
            "difference_high": result.difference.high,
            "pairs": len(result.seeds),
            "ties": result.ties,
            "p": result.p,
            "improvement": result.improvement,
            "delta": result.delta,
        }

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
            space = self.space(result["label"])
            for entry in result.get("history", []):
                alpha = np.array(entry.get("alpha") or [], dtype=float)
                if space is None or alpha.shape != (len(space.edges), len(space.operations)):
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
                    for i, edge in enumerate(space.edge_names)
                    for j, operation in enumerate(space.operations)
                    if math.isfinite(share[i, j])
                ]
        return pd.DataFrame(rows, columns=columns)

    def settings(self, label: str) -> dict[str, Any]:
        """Return a variant's settings as the manifest has them; empty where it has none."""
        return arms.settings_of(self.manifest, label)

    def space(self, label: str) -> Space | None:
        """Return the space that a variant searches; None where it is unknown here."""
        return arms.space_of(self.manifest, label)

    def short(self, label: str, cell: Any) -> str:
        """Write a cell that a variant found in little room; empty where it is none."""
        if not isinstance(cell, str):
            return ""
        space = self.space(label)
        return cell if space is None else space.short(cell)

    def as_json(self) -> str:
        """Return everything but the histories as JSON; what is not a number is null."""
        comparison = self.verdict.comparison
        content = {
            "name": self.manifest["name"],
            "question": self.manifest["question"],
            "contrast": self.manifest["contrast"],
            "answer": self.answer,
            "mixed": list(self.mixed),
            "verdict": self.verdict.kind,
            "more_pairs": self.verdict.more,
            "difference": list(comparison.difference),
            "p": comparison.p,
            "seeds": list(comparison.seeds),
            "differences": list(comparison.differences),
            "command": self.manifest.get("command", ""),
            "variants": self.variants.to_dict("records"),
            "runs": self.runs.to_dict("records"),
        }
        return json.dumps(finite(content), indent=1, allow_nan=False)
