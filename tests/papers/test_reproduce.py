"""Claimed beside obtained, on a synthetic table and, where it is there, on the real one."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import papers
from bench.cli import main
from bench.contracts.truth import TruthError
from bench.papers import Number, PaperTable
from bench.papers.reproduce import Table, judged, load_table, reproduce
from bench.papers.summary import records, to_csv, to_markdown
from bench.spaces.nb201 import cells

REAL = Path(__file__).parents[3] / "shared" / "nb201" / "nasbench201.csv.gz"
TESTS = ("cifar10_test_200", "cifar100_test_200", "imagenet16_test_200")


def synthetic() -> Table:
    """Accuracies that grow with the number of 3×3 convolutions; the signal is the truth."""
    every = [60.0 + 5 * cell.count(cells.CONV3) for cell in cells.architectures()]
    worth = np.array(every)
    return Table(worth, dict.fromkeys(TESTS, worth), "synthetic", "0" * 64)


def without_tpe(table: PaperTable) -> PaperTable:
    """Leave out the one search that takes a second per handful of runs."""
    rows = tuple(r for r in table.rows if (r.obtain.blackbox or {}).get("name") != "tpe")
    return table.model_copy(update={"rows": rows})


def paper(**rows: dict[str, object]) -> PaperTable:
    entries = [
        {"method": name, "version": "v", "claimed": {"cifar10": claim}, "obtain": {how: value}}
        for name, (claim, how, value) in ((name, row["row"]) for name, row in rows.items())  # type: ignore[misc]
    ]
    return PaperTable.model_validate(
        {
            "title": "T",
            "paper": "P",
            "measure": "accuracy",
            "datasets": ["cifar10", "cifar100", "imagenet16"],
            "margin": {"cifar10": 1.0},
            "runs": 500,
            "rows": entries,
        }
    )


def test_verdicts_follow_the_pass_band() -> None:
    search = {"name": "local_search", "first_improvement": True}
    [first] = reproduce(
        paper(x={"row": ("–/80.00±1.00", "blackbox", search)}), synthetic(), runs=40
    )
    mean = first.obtained[0].number.mean
    table = paper(
        exact={"row": ("–/90.00", "optimum", True)},
        off={"row": ("–/90.02", "optimum", True)},
        close={"row": (f"–/{mean:.2f}±0.50", "blackbox", search)},
        far={"row": (f"–/{mean - 2:.2f}±6.00", "blackbox", search)},
        gpu={"row": ("–/80.00±2.00", "gpu_hours", 3.0)},
    )
    exact, off, close, far, gpu = reproduce(table, synthetic(), runs=40)
    assert exact.verdict == "pass" and close.verdict.startswith("pass (at most 0.")
    assert off.verdict == "differs: cifar10 test -0.02"
    # Two points are within the published standard deviation of six, and many standard errors.
    assert far.verdict.startswith("differs: cifar10 test +2.0") and "SE)" in far.verdict
    assert gpu.verdict == "not run" and gpu.how == "not run: needs a GPU, about 3 hours"
    assert close.cost["runs"] == 40 and close.cost["evaluations"] <= 110
    without = reproduce(table, None)
    assert {outcome.verdict for outcome in without} == {"not run"}


@pytest.mark.parametrize(
    ("gap", "sd", "margin", "verdict"),
    [
        (0.0, 1.0, 0.2, "same"),
        (0.15, 1.0, 0.2, "differs"),
        (0.09, 1.0, 0.2, "same"),
        (0.11, 1.0, 0.2, "undecided"),
        (1.0, 5.0, 0.2, "differs"),
        (0.05, 1.0, math.nan, "undecided"),
    ],
)
def test_means_are_judged_by_margin_and_standard_error(
    gap: float, sd: float, margin: float, verdict: str
) -> None:
    """500 runs on either side: with sd 1 the standard error is 0.0632, its 90 % half width 0.104."""
    sample = np.tile([-1.0, 1.0], 250) * sd * math.sqrt(499 / 500) + 90 + gap
    found, error = judged(Number(90.0, sd), sample, margin, 500)
    assert found == verdict and error == pytest.approx(sd * math.sqrt(2 / 500))


@pytest.mark.parametrize(
    ("sample", "sd", "runs"),
    [([93.8], 0.3, 500), ([], 0.3, 500), ([93.8, 93.9], math.nan, 500), ([93.8, 93.9], 0.3, None)],
)
def test_a_search_whose_noise_is_not_known_is_not_judged(
    sample: list[float], sd: float, runs: int | None
) -> None:
    """93.80 lies 0.4 deviations from 93.92: one run of a search is no cell of the table."""
    assert judged(Number(93.92, sd), np.array(sample), 0.2, runs)[0] == "undecided"
    [one] = reproduce(
        paper(x={"row": ("–/80.00±1.00", "blackbox", {"name": "random_search"})}),
        synthetic(),
        runs=1,
    )
    assert one.verdict.startswith("undecided")


@pytest.mark.parametrize(("mine", "theirs"), [(3, 3), (5, 500), (10, 10), (500, 3)])
def test_few_runs_that_do_not_differ_are_seldom_said_to(mine: int, theirs: int) -> None:
    """By normal quantiles it was 17 of 100 with three runs on either side, 11 with five on one."""
    rng, said = np.random.default_rng(0), 0
    for _ in range(2000):
        other = rng.normal(90, 1, theirs)
        claim = Number(float(other.mean()), float(other.std(ddof=1)))
        said += judged(claim, rng.normal(90, 1, mine), 0.2, theirs)[0] == "differs"
    assert said / 2000 <= 0.065


def test_a_row_without_a_claim_passes_nothing() -> None:
    [outcome] = reproduce(
        PaperTable.model_validate(
            {
                "title": "T",
                "paper": "P",
                "measure": "accuracy",
                "datasets": ["cifar10"],
                "rows": [
                    {"method": "m", "version": "v", "claimed": {}, "obtain": {"optimum": True}}
                ],
            }
        ),
        synthetic(),
    )
    assert outcome.verdict == "no claim"


def test_a_missing_library_is_a_row_that_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    [outcome] = reproduce(paper(tpe={"row": ("–/90", "blackbox", {"name": "tpe"})}), synthetic())
    assert outcome.verdict == "not run" and "pip install" in outcome.how


def test_pages_hold_every_row_and_say_how() -> None:
    table = papers.load("nas-bench-201")
    quick = without_tpe(table)
    outcomes = reproduce(quick, synthetic(), runs=3, budget=20)
    page = to_markdown("nas-bench-201", quick, outcomes, synthetic(), 20)
    for row in quick.rows:
        assert f"| {row.method} |" in page and f"- {row.method} (" in page
    for said in ("Pass band", "12,000 s", "not in this table", "seeds 0 to 2", "[recalled]"):
        assert said in page
    rows = list(csv.DictReader(io.StringIO(to_csv(outcomes))))
    assert len(rows) == len(records(outcomes))
    rea = next(r for r in rows if r["method"] == "REA" and r["dataset"] == "cifar10")
    assert (rea["claimed_mean"], rea["split"], rea["runs"]) == ("93.92", "test", "3")
    assert float(rea["iqm_low"]) <= float(rea["iqm"]) <= float(rea["iqm_high"])
    not_run = [r for r in rows if r["method"] == "GDAS"]
    assert len(not_run) == 6 and all(r["obtained_mean"] == "" for r in not_run)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("truth") / "table.csv")


def write(path: Path, leave_out: str = "", cells_kept: int = 15625, extra: str = "") -> Path:
    columns = [c for c in ("cifar10_valid_12", *TESTS, extra) if c and c != leave_out]
    with path.open("w") as out:
        out.write(",".join(["arch", *columns]) + "\n")
        for cell in list(cells.architectures())[:cells_kept]:
            value = 60 + 5 * cell.count(cells.CONV3)
            out.write(",".join([cells.encode(cell), *[str(value)] * len(columns)]) + "\n")
    return path


def test_a_table_is_read_by_index(file: Path) -> None:
    table = load_table(file)
    cell = (3, 3, 0, 1, 3, 2)
    assert table.signal[cells.index(cell)] == table.final[TESTS[2]][cells.index(cell)] == 75
    assert set(table.final) == set(TESTS)


def test_validation_is_compared_where_the_table_has_it(tmp_path: Path) -> None:
    table = load_table(write(tmp_path / "t.csv", extra="cifar10_valid_200"))
    [outcome] = reproduce(paper(best={"row": ("90.00/90.00", "optimum", True)}), table)
    assert ("cifar10", "valid", "same") in {
        (one.dataset, one.split, one.verdict) for one in outcome.obtained
    }


@pytest.mark.parametrize("column", ["cifar10_valid_12", "imagenet16_test_200"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(TruthError, match=column):
        load_table(write(tmp_path / "t.csv", leave_out=column))


def test_missing_cells_are_counted(tmp_path: Path) -> None:
    # Of the 625 that the file lacks, 310 have an isomorphic twin in it.
    with pytest.raises(TruthError, match="lacks 315 of 15625 cells"):
        load_table(write(tmp_path / "t.csv", cells_kept=15000))


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line as a user has it: arguments → stdout and stderr."""

    def call(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", "reproduce", *arguments])
        monkeypatch.delenv("BENCH_NB201", raising=False)
        monkeypatch.delenv("BENCH_DEBUG", raising=False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        assert (exit_.value.code or 0) == code, err
        return out, err

    return call


def test_list_names_the_tables(run: Run) -> None:
    out, _ = run("--list")
    assert "nas-bench-201: " in out and "robustdarts: " in out
    listed = json.loads(run("--list", "--json")[0])
    assert [entry["name"] for entry in listed] == papers.names()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nas-bench-21",), "did you mean 'nas-bench-201'"),
        (("nas-bench-201",), "cifar10_valid_12, cifar10_test_200"),
        (("nas-bench-201", "--truth", "nowhere.csv"), "nowhere.csv"),
        ((), "name a published table"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(run: Run, arguments: tuple[str, ...], says: str) -> None:
    out, err = run(*arguments, code=2)
    assert out == "" and says in err and err.count("\n") == 1


def test_command_writes_what_it_prints_and_names_no_machine_path(
    run: Run, file: Path, tmp_path: Path
) -> None:
    common = ("nas-bench-201", "--runs", "2", "--budget", "12", "--truth", str(file))
    out, _ = run(*common, "--json", "--output", str(tmp_path / "out"))
    assert {record["method"] for record in json.loads(out)} >= {"REA", "BOHB", "optimum"}
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "Made by `bench reproduce nas-bench-201 --runs 2 --budget 12 --truth table.csv" in page
    assert str(tmp_path) not in page and str(file.parent) not in page
    assert (tmp_path / "out" / "summary.csv").read_text().startswith("method,version,")


def test_a_table_that_needs_no_truth_asks_for_none(run: Run) -> None:
    out, _ = run("robustdarts")
    assert out.count("| not run |") == 3


@pytest.mark.skipif(not REAL.exists(), reason="../shared/nb201/nasbench201.csv.gz is absent")
def test_the_real_table_reproduces_the_paper() -> None:
    table = papers.load("nas-bench-201")
    quick = without_tpe(table)
    outcomes = {
        (outcome.row.method, outcome.row.version): outcome
        for outcome in reproduce(quick, load_table(REAL), runs=80)
    }
    verdicts = {key: o.verdict for key, o in outcomes.items() if o.obtained and o.row.claimed}
    assert len(verdicts) == 6
    read_off = {key: v for key, v in verdicts.items() if key[0] in ("DARTS-V1 = V2", "optimum")}
    assert len(read_off) == 2 and set(read_off.values()) == {"pass"}, verdicts
    searched = {v.split()[0].strip("():,") for key, v in verdicts.items() if key not in read_off}
    assert searched <= {"pass", "same", "differs", "undecided"}, verdicts
