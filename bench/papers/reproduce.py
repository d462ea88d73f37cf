"""Published tables beside what is obtained: runs what a table of ground truth can answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats

from bench.contracts import registry
from bench.contracts.blackbox import PAPER_BUDGET, BlackBox, MissingLibraryError
from bench.contracts.truth import TruthError
from bench.papers import Claim, Number, PaperTable, Row
from bench.spaces.nb201 import cells
from bench.statistics import Floats, Interval, iqm, stratified_bootstrap

SIGNAL = "cifar10_valid_12"
"""The only thing that a black-box search sees."""
PASS_BAND = (
    "a search passes on a data set when the difference of the mean test accuracies is equivalent to "
    "none: its 90 % interval (two one-sided tests at 5 %) lies within the margin that the table states; it "
    "differs where the 95 % interval leaves out zero and it does not pass; undecided otherwise. A row read "
    "off the table passes when it is equal to 0.01"
)
TABLE_TOLERANCE = 0.01
COLUMNS = f"arch, {SIGNAL}, cifar10_test_200, cifar100_test_200, imagenet16_test_200"
"""What a table must have."""
CHOICES = (len(cells.OPERATIONS),) * len(cells.EDGES)


@dataclass(frozen=True)
class Table:
    """Accuracies as arrays over `cells.architectures`, so that a query is an index.

    Attributes
    ----------
    signal
        12-epoch validation accuracy on CIFAR-10 [15,625].
    final
        Column such as ``cifar10_test_200`` → accuracy [15,625]; those that the file has.
    provenance, sha256
        Of the file.
    """

    signal: Floats
    final: Mapping[str, Floats]
    provenance: str
    sha256: str


@dataclass(frozen=True)
class Obtained:
    """What was obtained on one data set and split, beside the claim."""

    dataset: str
    split: str
    claimed: Number | None
    values: Floats
    """One per run."""
    iqm: Interval
    verdict: str
    """``same``, ``differs``, ``undecided`` or ``no claim``."""
    margin: float = math.nan
    """Points within which the means count as the same."""
    error: float = math.nan
    """Standard error of the difference of the means; NaN where it is not known."""

    @property
    def number(self) -> Number:
        """Mean and standard deviation over runs (NaN for one)."""
        sd = float(self.values.std(ddof=1)) if self.values.size > 1 else math.nan
        return Number(float(self.values.mean()), sd)

    @property
    def gap(self) -> float:
        """Obtained minus claimed mean; NaN without a claim."""
        return math.nan if self.claimed is None else self.number.mean - self.claimed.mean

    @property
    def errors(self) -> float:
        """How many standard errors the means lie apart; NaN where that is not known."""
        return abs(self.gap) / self.error if self.error > 0 else math.nan


@dataclass(frozen=True)
class Outcome:
    """A row of a published table and what became of it."""

    row: Row
    how: str
    obtained: tuple[Obtained, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    """Runs, evaluations and distinct cells per run, seconds per run."""

    @property
    def verdict(self) -> str:
        """``not run``, ``no claim``, ``pass`` with how far apart, or where it differs and by how much."""
        if not self.obtained:
            return "not run"
        if all(one.claimed is None for one in self.obtained):
            return "no claim"
        parts = []
        for kind in ("differs", "undecided"):
            found = [
                f"{one.dataset} {one.split} {one.gap:+.2f}"
                + (f" ({one.errors:.1f} SE)" if math.isfinite(one.errors) else "")
                for one in self.obtained
                if one.verdict == kind
            ]
            if found:
                why = f" ({self.row.differs})" if kind == "differs" and self.row.differs else ""
                parts.append(f"{kind}{why}: {', '.join(found)}")
        apart = [one.errors for one in self.obtained if math.isfinite(one.errors)]
        passed = f"pass (at most {max(apart):.1f} SE apart)" if apart else "pass"
        return "; ".join(parts) or passed


def load_table(path: Path) -> Table:
    """Read what the searches see and what their favourites are worth.

    Raises
    ------
    TruthError
        When the file or one of its columns is missing, or does not hold all 15,625 cells.
    """
    every = [cells.encode(cell) for cell in cells.architectures()]

    def column(name: str) -> tuple[Floats, str, str]:
        member = registry.parse("truth", {"name": "table", "path": str(path), "column": name})
        truth = member.load()
        values = truth.mean(every)
        if missing := int(np.isnan(values).sum()):
            raise TruthError(f"{path}: column {name} lacks {missing} of {values.size} cells")
        return values, truth.provenance, truth.sha256

    signal, _, sha256 = column(SIGNAL)
    final = {}
    for dataset in ("cifar10", "cifar100", "imagenet16"):
        final[f"{dataset}_test_200"] = column(f"{dataset}_test_200")[0]
        try:
            final[f"{dataset}_valid_200"] = column(f"{dataset}_valid_200")[0]
        except TruthError:  # most tables lack it; the output says so
            continue
    return Table(signal, final, f"{path.name} (sha256 {sha256[:12]})", sha256)


def reproduce(
    table: PaperTable,
    truth: Table | None,
    *,
    runs: int = 500,
    budget: int = PAPER_BUDGET,
    progress: Callable[[str], None] = lambda message: None,
) -> list[Outcome]:
    """Obtain every row that needs no GPU.

    Parameters
    ----------
    truth
        NAS-Bench-201; None leaves everything not run.
    runs
        Of every search, with seeds 0 to ``runs`` − 1.
    budget
        Evaluations per search.
    progress
        Told which search is being run.
    """
    outcomes = []
    for row in table.rows:
        if row.obtain.blackbox is not None and truth is not None:
            progress(row.method)
        outcomes.append(_obtain(row, truth, runs, budget, table))
    return outcomes


def _obtain(row: Row, truth: Table | None, runs: int, budget: int, table: PaperTable) -> Outcome:
    obtain = row.obtain
    if obtain.gpu_hours is not None:
        seeds = f" per seed, {obtain.seeds} seeds" if obtain.seeds > 1 else ""
        return Outcome(row, f"not run: needs a GPU, about {obtain.gpu_hours:g} hours{seeds}")
    if truth is None:
        return Outcome(row, "not run: no table of ground truth given")
    if obtain.blackbox is not None:
        return _search(row, truth, runs, budget, table)
    if obtain.cell is not None:
        at = cells.index(cells.decode(obtain.cell))
        values = {name: final[[at]] for name, final in truth.final.items()}
        return Outcome(row, "read off the table", _compare(row, values, table))
    values = {name: final[[final.argmax()]] for name, final in truth.final.items()}
    return Outcome(row, "read off the table, each column's best", _compare(row, values, table))


def _search(row: Row, truth: Table, runs: int, budget: int, table: PaperTable) -> Outcome:
    member: BlackBox = registry.parse("blackbox", row.obtain.blackbox)
    signal = truth.signal.tolist()  # a list is faster to index one by one
    start = time.perf_counter()
    try:
        found = [
            member.search(lambda cell: signal[cells.index(cell)], CHOICES, budget, seed)
            for seed in range(runs)
        ]
    except MissingLibraryError as error:
        return Outcome(row, f"not run: {error}")
    seconds = time.perf_counter() - start
    at = [cells.index(one.favourite) for one in found]
    cost = {
        "runs": float(runs),
        "evaluations": float(np.mean([len(one.evaluated) for one in found])),
        "distinct": float(np.mean([one.distinct for one in found])),
        "seconds_per_run": seconds / runs,
        "signal": float(truth.signal[at].mean()),
    }
    values = {name: final[at] for name, final in truth.final.items()}
    how = (
        f"{runs} runs (seeds 0 to {runs - 1}) of {_described(member)}, {budget} evaluations of "
        f"{SIGNAL} each; repeated cells {member.repeats}"
    )
    return Outcome(row, how, _compare(row, values, table), cost)


def _described(member: BlackBox) -> str:
    fields = ", ".join(f"{name} {value}" for name, value in member.model_dump().items())
    return f"{member.name} ({fields})" if fields else member.name


def _compare(row: Row, values: Mapping[str, Floats], table: PaperTable) -> tuple[Obtained, ...]:
    obtained = []
    for name, sample in values.items():
        dataset, split, _ = name.split("_")
        claim: Claim | None = row.claimed.get(dataset)
        number = None if claim is None else claim.test if split == "test" else claim.valid
        interval = stratified_bootstrap([sample], iqm, seed=0)
        margin = table.margin.get(dataset, math.nan)
        if row.obtain.blackbox is None:
            verdict, error = _read_off(number, sample), math.nan
        else:
            verdict, error = judged(number, sample, margin, table.runs)
        obtained.append(Obtained(dataset, split, number, sample, interval, verdict, margin, error))
    return tuple(obtained)


def _read_off(claimed: Number | None, sample: Floats) -> str:
    """Say whether what a cell has in the table is what was published: one number against one number."""
    if claimed is None:
        return "no claim"
    gap = float(sample.mean()) - claimed.mean
    return "same" if abs(gap) <= TABLE_TOLERANCE + 1e-9 else "differs"


def judged(
    claimed: Number | None, sample: Floats, margin: float, runs: int | None
) -> tuple[str, float]:
    """Say whether a mean is the published one, and give the standard error of the difference.

    Parameters
    ----------
    sample
        What the runs of a search found, one each. Below two, or without a published deviation, nothing is
        decided: the noise is not known.
    margin
        Points within which they count as the same; NaN: none is stated, and nothing passes.
    runs
        How many runs the published mean is over.

    References
    ----------
    Schuirmann 1987, two one-sided tests for equivalence, doi:10.1007/BF01068419; with Welch's t, for either
    side may have few runs.
    """
    if claimed is None:
        return "no claim", math.nan
    if sample.size < 2 or runs is None or runs < 2 or math.isnan(claimed.sd):
        return "undecided", math.nan
    gap = float(sample.mean()) - claimed.mean
    parts = (float(sample.var(ddof=1)) / sample.size, claimed.sd**2 / runs)
    error = math.sqrt(sum(parts))
    if error == 0:
        return ("same" if abs(gap) < margin else "differs"), error
    degrees = error**4 / (parts[0] ** 2 / (sample.size - 1) + parts[1] ** 2 / (runs - 1))
    within, apart = (float(stats.t.ppf(q, degrees)) * error for q in (0.95, 0.975))
    if abs(gap) + within < margin:
        return "same", error
    return ("differs" if abs(gap) > apart else "undecided"), error
