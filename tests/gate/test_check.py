"""The command around both layers: exit codes, files for CI, the history and its page."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.cli import REGRESSION, application
from bench.gate import baseline, searches, speed
from bench.gate.check import fresh_seeds
from bench.gate.seedbank import BANK, CONFIRMING, FRESH
from bench.gate.trend import write_trend
from tests.gate.builders import outcome, stand_in

WORKFLOW = Path(__file__).parents[2] / ".github/workflows/bench.yml"


@pytest.fixture(autouse=True)
def no_search(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Let stand-ins take the place of searches, and the first layer see nothing."""
    drop: dict[str, float] = {}
    monkeypatch.setattr(searches, "outcome", lambda name, seed: outcome(name, seed, drop))
    monkeypatch.setattr("bench.gate.check.deterministic", lambda base: [])
    return drop


def invoke(*words: str) -> Result:
    return CliRunner().invoke(application(), list(words), catch_exceptions=False)


def check(folder: Path, *words: str, draw: str = "abc") -> Result:
    return invoke("check", "--baselines", str(folder), "--jobs", "1", "--draw", draw, *words)


def test_nothing_changed_is_green_and_runs_three_seeds(tmp_path: Path) -> None:
    stand_in(tmp_path)
    found = json.loads(check(tmp_path, "--json").stdout)
    assert found["verdict"] == "green" and len(found["seeds"]) == FRESH
    assert sum(check(tmp_path, draw=str(i)).exit_code == 0 for i in range(10)) >= 9


def test_a_large_drop_is_confirmed_and_exits_with_three(
    tmp_path: Path, no_search: dict[str, float]
) -> None:
    base = stand_in(tmp_path)
    no_search["tau"] = 1.3 * base.detectable["tau"]
    summary = tmp_path / "summary.md"
    result = check(tmp_path, "--markdown", str(summary))
    assert result.exit_code == REGRESSION
    assert f"{CONFIRMING} confirming seeds" in result.stderr
    text = summary.read_text()
    assert text.startswith("### ❌ Search quality has regressed: τ of the sampled supernet")
    assert "bench baseline --reason" in text and text.count("✗ regressed") == 1


def test_all_seeds_diverging_is_a_regression(tmp_path: Path, no_search: dict[str, float]) -> None:
    stand_in(tmp_path)
    no_search["true_accuracy"] = math.nan
    files = [str(tmp_path / name) for name in ("s.md", "b.json", "t.html")]
    result = check(
        tmp_path, "--markdown", files[0], "--benchmark-json", files[1], "--trend", files[2]
    )
    assert result.exit_code == REGRESSION and "diverged" in result.stdout


def test_fresh_seeds_differ_by_commit_and_never_are_the_banks() -> None:
    assert fresh_seeds("a") == fresh_seeds("a") != fresh_seeds("b")
    seeds = [seed for i in range(50) for seed in fresh_seeds(str(i))]
    assert len(set(seeds)) == len(seeds) and min(seeds) >= BANK


def test_every_search_runs_with_every_seed() -> None:
    taken: list[str] = []
    one = searches.outcomes([1, 2], 1, taken.append)
    assert set(one) == {1, 2} and set(one[1]) == set(searches.METRICS)
    assert len(taken) == 2 * len(searches.JUDGED)


def test_files_for_the_tracker(tmp_path: Path) -> None:
    stand_in(tmp_path)
    speed, out = tmp_path / "speed.json", tmp_path / "quality.json"
    speed.write_text(
        json.dumps(
            {
                "benchmarks": [
                    {
                        "name": "test_step[8]",
                        "stats": {"median": 0.25},
                        "extra_info": {"ratio": 1.9},
                    }
                ]
            }
        )
    )
    result = check(tmp_path, "--speed", str(speed), "--benchmark-json", str(out))
    assert result.exit_code == 0
    entries = {entry["name"]: entry for entry in json.loads(out.read_text())}
    assert len(entries) == len(searches.METRICS) + 2
    assert all({"name", "unit", "value"} <= entry.keys() for entry in entries.values())
    assert entries["test_step[8]"]["value"] == 4.0
    assert entries["test_step[8]: ratio"]["value"] == 1.9


@pytest.mark.parametrize(
    "entry",
    [
        '{"name": "q", "stats": {"median": 5e-324}}',
        '{"name": "\\ud800", "stats": {"median": 1}}',
        '{"name": "q", "stats": {"median": 1' + "0" * 400 + "}}",
        '{"name": "q", "stats": {"median": 1}, "extra_info": {"r": 1' + "0" * 400 + "}}",
        '{"name": "q", "stats": {"median": 1}, "extra_info": {"\\ud800": 1}}',
    ],
    ids=["tiny", "surrogate", "huge", "huge ratio", "surrogate ratio"],
)
def test_timings_that_could_not_be_written_down_are_refused_first(
    tmp_path: Path, entry: str
) -> None:
    path = tmp_path / "speed.json"
    path.write_text(f'{{"benchmarks": [{entry}]}}')
    with pytest.raises(ValueError, match="no JSON of pytest-benchmark"):
        speed.read(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmarks": [{"name": 1}]}'])
def test_a_speed_file_that_is_none_is_said(tmp_path: Path, content: str) -> None:
    stand_in(tmp_path)
    (tmp_path / "speed.json").write_text(content)
    with pytest.raises(ValueError, match=r"no JSON of pytest-benchmark|not JSON"):
        check(tmp_path, "--speed", str(tmp_path / "speed.json"))


def test_a_baseline_needs_a_reason_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, "record", dict)
    assert invoke("baseline", "--baselines", str(tmp_path)).exit_code == 2
    with pytest.raises(ValueError, match="say why"):
        invoke("baseline", "--baselines", str(tmp_path), "--reason", "  ")
    assert not list(tmp_path.iterdir())
    for reason in ("first [ 1 2 ]", "second"):
        invoke("baseline", "--baselines", str(tmp_path), "--jobs", "1", "--reason", reason)
        assert baseline.read(tmp_path).reason == reason
    lines = baseline.history(tmp_path / baseline.HISTORY)
    assert [line["reason"] for line in lines] == ["first [ 1 2 ]", "second"]
    assert len(lines[0]["metrics"]["tau"]) == BANK and lines[0]["torch"] and lines[0]["date"]


def test_the_bank_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = stand_in(tmp_path)
    monkeypatch.setattr(baseline, "record", dict)
    monkeypatch.setattr(searches, "outcomes", lambda *_: pytest.fail("the bank was run"))
    invoke("baseline", "--baselines", str(tmp_path), "--keep-bank", "--reason", "sums reordered")
    again = baseline.read(tmp_path)
    assert again.bank == base.bank and again.reason == "sums reordered"


def test_a_baseline_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no baseline here; record one with"):
        check(tmp_path)
    stand_in(tmp_path)
    path = tmp_path / baseline.FILE
    text = path.read_text()
    path.write_text(re.sub(r'"k": \d+', '"k": 9', text))
    with pytest.raises(ValueError, match="changed by hand"):
        check(tmp_path)
    path.write_text(text)
    monkeypatch.setattr(searches, "digest", lambda: "another")
    with pytest.raises(ValueError, match="measures other things"):
        check(tmp_path)


def test_the_trend_shows_checks_and_baselines(tmp_path: Path, no_search: dict[str, float]) -> None:
    base = stand_in(tmp_path, reason="<script>alert(1)</script>")
    kept, page = tmp_path / "ci" / "history.jsonl", tmp_path / "trend.html"
    check(tmp_path, "--record", "--history", str(kept), draw="a")
    no_search["tau"] = 2 * base.detectable["tau"]
    result = check(tmp_path, "--record", "--history", str(kept), "--trend", str(page), draw="b")
    assert result.exit_code == REGRESSION
    lines = baseline.history(tmp_path / baseline.HISTORY, kept)
    assert [line["verdict"] for line in lines] == ["accepted", "green", "regressed"]
    text = page.read_text()
    assert "<script>alert(1)" not in text and "&lt;script&gt;alert(1)" in text
    assert text.count("<figure") == len(searches.METRICS) and "regressed</td>" in text
    page.unlink()
    invoke(
        "check",
        "--baselines",
        str(tmp_path),
        "--history",
        str(kept),
        "--only-trend",
        "--trend",
        str(page),
    )
    assert page.read_text() == text


def test_an_empty_history_leaves_a_page(tmp_path: Path) -> None:
    assert "Nothing is recorded yet" in write_trend([], tmp_path / "t.html").read_text()
    (tmp_path / "history.jsonl").write_text('{"kind": "check"}\n')
    with pytest.raises(ValueError, match=r"history.jsonl:1: date: missing; not a line"):
        baseline.history(tmp_path / "history.jsonl")


def test_the_workflow_uses_what_the_command_has() -> None:
    import yaml

    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["quality"]["steps"]
    script = "\n".join(step.get("run", "") for step in steps)
    used = set(re.findall(r"(--[a-z-]+)", script[script.index("bench check") :].split("\n\n")[0]))
    offered = invoke("check", "--help").output
    assert {"--markdown", "--benchmark-json", "--trend"} <= used
    assert all(option in offered for option in used), used
    uses = [step["uses"] for step in steps if "uses" in step]
    assert any("github-action-benchmark" in name for name in uses)
