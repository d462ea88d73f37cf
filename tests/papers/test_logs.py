"""Search logs replayed: known answers on constructed logs, and the published ones where they lie."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from bench import papers
from bench.cli import application
from bench.papers import logs
from bench.papers.logs import LogTable
from tests.conftest import SHARED

PUBLISHED = SHARED / "robustdarts"
GENES = (
    "Genotype(normal=[{0}], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1)"
    ", ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)


def genotype(skips: int) -> str:
    """Write a genotype whose normal cell has so many skips, the rest separable convolutions."""
    sources = [(0, 1)] * 4
    names = ["skip_connect"] * skips + ["sep_conv_3x3"] * (8 - skips)
    flat = [s for pair in sources for s in pair]
    return GENES.format(", ".join(f"('{n}', {s})" for n, s in zip(names, flat, strict=True)))


def published(root: Path, searches: dict[tuple[float, float, int], tuple[int, float, list[float]]]):
    """Write logs in the published form: (skips, error, eigenvalues) per search."""
    root.mkdir(parents=True, exist_ok=True)
    lines = ["space,dataset,drop_path,weight_decay,run,epoch,largest,smallest,trace,size"]
    arch: dict[str, list[str]] = {}
    perf: dict[str, list[str]] = {}
    for (drop, decay, run), (skips, error, values) in searches.items():
        arch.setdefault(f"{drop}_{decay}", []).append(f'    {run}: "{genotype(skips)}"')
        perf.setdefault(f"{drop}_{decay}", []).append(f"    {run}: {error}")
        rows = [(2 * i, v) for i, v in enumerate(values)] + [(2 * len(values) - 1, 9.0)]
        lines += [f"s1,cifar10,{drop},{decay},{run},{e},{v},0,0,56" for e, v in rows]
    (root / "eigenvalues.csv").write_text("\n".join(lines) + "\n")
    for name, content in (("results_arch.yaml", arch), ("results_perf.yaml", perf)):
        text = "\n".join(f"  {key}:\n" + "\n".join(rows) for key, rows in content.items())
        (root / name).write_text(f"s1_cifar10:\n{text}\n")
    return root


FLAT = [0.2] * 25
RISING = [0.2] * 14 + [0.8] * 11


def obtained(frame: pd.DataFrame) -> dict[str, logs.Obtained]:
    table = papers.load("robustdarts-logs")
    assert isinstance(table, LogTable)
    return {one.claim.measure: one for one in logs.obtain(table, frame)}


def test_a_flat_series_runs_to_its_end_and_a_rising_one_is_stopped(tmp_path: Path) -> None:
    """Fourteen measurements of 0.2, then 0.8: the averages of five rise from the 15th on."""
    frame = logs.read(
        published(
            tmp_path, {(0.0, 0.0003, 1): (7, 12.0, FLAT), (0.0, 0.0003, 2): (1, 13.0, RISING)}
        )
    )
    flat, rising = frame.to_dict("records")
    assert math.isnan(flat["stop_code"]) and math.isnan(flat["chosen_paper"]) and flat["rise"] == 1
    # 15th measurement, epoch 29: (4·0.2 + 0.8)/5 = 0.32 over 0.2 is 1.6 > 1.3; six measurements back.
    assert (rising["stop_code"], rising["chosen_code"]) == (29, 17)
    # 0.2/0.32 = 0.625 < 0.75; the means are around the epoch, so that seven measurements lie between.
    assert (rising["stop_paper"], rising["chosen_paper"]) == (29, 15)
    assert rising["sharpness"] == pytest.approx(0.8) and flat["sharpness"] == pytest.approx(0.2)
    assert rising["rise"] == pytest.approx(max_rise(RISING))


def max_rise(values: list[float]) -> float:
    means = [sum(values[i - 5 : i]) / 5 for i in range(5, len(values) + 1)]
    return max(b / a for a, b in zip(means, means[4:], strict=False))


def test_genotypes_are_counted(tmp_path: Path) -> None:
    frame = logs.read(published(tmp_path, {(0.0, 0.0003, 1): (3, 12.0, FLAT)}))
    row = frame.iloc[0]
    assert (row["skips_normal"], row["skips_reduce"]) == (3, 1)
    assert row["weight_free"] == pytest.approx((3 + 8) / 16)
    assert (row["drop_path"], row["weight_decay"], row["run"], row["error"]) == (0, 3e-4, 1, 12)


def many(root: Path) -> pd.DataFrame:
    """Six weight decays of two seeds, skips falling with it, sharpness the skips over ten."""
    found = {}
    for i, decay in enumerate([3e-4, 9e-4, 27e-4, 81e-4, 243e-4, 729e-4]):
        for run in (1, 2):
            skips = 7 - i
            found[0.0, decay, run] = (skips, 40.0 - skips, [skips / 10] * 25)
    return logs.read(published(root, found))


def test_measures_by_hand(tmp_path: Path) -> None:
    found = obtained(many(tmp_path))
    assert found["skips_plain"].value.estimate == 7 and found["skips_plain"].searches == 2
    assert math.isnan(found["skips_plain"].value.low)  # one setting gives no interval
    assert found["skips_by_decay"].value.estimate == pytest.approx(-1)
    assert found["skips_by_decay"].value.high <= -0.9
    assert found["sharpness_and_error"].value.estimate == pytest.approx(-1)
    assert found["sharpness_and_skips"].value.estimate == pytest.approx(1)
    assert math.isnan(found["skips_by_drop_path"].value.estimate)
    assert found["stopped_code"].value.estimate == 0


def test_correlations_are_scipys(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draws.normal(size=30), "b": draws.integers(0, 5, 30).astype(float)})
    frame.loc[3, "b"] = math.nan
    both = frame.dropna()
    for kind, theirs in ((logs._pearson, stats.pearsonr), (logs._spearman, stats.spearmanr)):
        mine = logs._correlation(frame, "a", "b", kind)
        assert mine == pytest.approx(theirs(both["a"], both["b"])[0])


def test_an_interval_draws_settings_not_seeds() -> None:
    """Ten copies of each of six settings are still six settings."""
    base = pd.DataFrame({"drop_path": 0.0, "weight_decay": range(6), "x": [0, 0, 0, 1, 1, 1.0]})
    once = logs.bootstrapped(base, lambda f: float(f["x"].mean()))
    tenfold = logs.bootstrapped(pd.concat([base] * 10), lambda f: float(f["x"].mean()))
    assert once.low == pytest.approx(1 / 6, abs=0.01) == pytest.approx(tenfold.low, abs=0.1)
    assert tenfold.high - tenfold.low > 0.5


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("eigenvalues.csv", "drop_path,weight_decay\n0,0.1\n", r"eigenvalues\.csv:2: not a row"),
        (
            "results_arch.yaml",
            "s1: {0.0_0.0003: {1: 'rm -rf'}}",
            "results_arch.yaml: not of the form",
        ),
        ("results_perf.yaml", "[1, 2]", "results_perf.yaml: cannot be read"),
        ("results_perf.yaml", "s1: {a_b: {1: 2}}", "results_perf.yaml: cannot be read"),
    ],
)
def test_damaged_logs_are_named(tmp_path: Path, file: str, content: str, says: str) -> None:
    root = published(tmp_path, {(0.0, 0.0003, 1): (3, 12.0, FLAT)})
    (root / file).write_text(content)
    with pytest.raises(ValueError, match=says) as caught:
        logs.read(root)
    assert "\n" not in str(caught.value)


def test_the_command(tmp_path: Path) -> None:
    many(tmp_path / "logs")
    run = CliRunner().invoke
    said = ["reproduce", "robustdarts-logs", "--logs", str(tmp_path / "logs")]
    done = run(application(), [*said, "--output", str(tmp_path / "kept")], catch_exceptions=False)
    assert done.exit_code == 0 and "| 0 (plain) | 0.0003 | –, – |" in done.stdout
    kept = pd.read_csv(tmp_path / "kept" / "searches.csv")
    assert len(kept) == 12 and "error" not in kept
    assert "Made by `bench reproduce" in (tmp_path / "kept" / "summary.md").read_text()
    told = json.loads(run(application(), [*said, "--json"], catch_exceptions=False).stdout)
    assert {one["measure"] for one in told} == set(logs.MEASURES)
    for missing in (["--logs", str(tmp_path / "no")], []):
        done = run(application(), ["reproduce", "robustdarts-logs", *missing])
        assert done.exit_code != 0 and "BENCH_ROBUSTDARTS" in str(done.exception)


def test_what_the_published_logs_say() -> None:
    if not PUBLISHED.is_dir():
        pytest.skip(f"{PUBLISHED} is not there: the published search logs cannot be replayed")
    frame = logs.read(PUBLISHED)
    assert len(frame) == 105 and frame["sharpness"].notna().sum() == 33
    assert frame["skips_normal"].isna().sum() == 1  # one genotype is not in the file
    found = obtained(frame)
    assert found["skips_plain"].value.estimate == pytest.approx(7.0)
    assert found["stopped_code"].value.estimate == found["stopped_paper"].value.estimate == 1
    # The supernet's error falls where the cell degenerates: the sign is the opposite of the claim's.
    assert found["sharpness_and_error"].value.estimate < -0.3
    assert found["sharpness_and_skips"].value.low > 0.2
