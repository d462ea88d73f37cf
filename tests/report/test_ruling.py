"""From output folders to verdicts: the right runs, the right window, the right words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import application
from bench.report.ruling import Verdict, lead_table, read
from bench.report.ruling_page import write
from tests.report.builders import folder, ok
from tests.report.test_browser import CHROMIUM, chromium, console

FEWER = {
    "says": "without the variant there are more skips",
    "metric": "skip_count",
    "of": "new",
    "against": "old",
    "expect": "lower",
    "smallest": 1.0,
    "role": "primary",
}
EARLY = {
    "says": "early on the share is above its null",
    "metric": "share",
    "of": "old",
    "value": 0.6,
    "expect": "higher",
    "smallest": 0.1,
    "when": [0.0, 0.5],
}


SEEDS = 8


def run(skips: float, shares: list[float], fall: int = 99) -> dict[str, Any]:
    epochs = [
        {"epoch": e, "share": s, "true_accuracy": 90.0 if e < fall else 54.3}
        for e, s in enumerate(shares, start=1)
    ]
    return ok(skips, history=epochs)


def study(
    root: Path, *criteria: dict[str, Any], claim: str = "It is <b>so</b>.", above: float = 0.5
) -> Path:
    old = [run(5 + 0.1 * s, [0.8 + 0.01 * s] * 5 + [0.1] * 5, 7) for s in range(SEEDS)]
    new = [run(1 + 0.1 * s, [0.6] * 10) for s in reversed(range(SEEDS))]
    if all(c.get("role") != "primary" for c in criteria):
        criteria = ({**criteria[0], "role": "primary"}, *criteria[1:])
    stated = {"claim": claim, "failure": {"of": "old", "above": above}, "criteria": criteria}
    return folder(root, {"old": old, "new": new}, explanation=stated)


def only(root: Path) -> Verdict:
    (verdict,) = read([root])
    return verdict


def test_a_difference_to_a_control_is_paired_by_seed(tmp_path: Path) -> None:
    (judged,) = only(study(tmp_path / "x", FEWER)).criteria
    assert judged.differences == pytest.approx({s: -3.3 - 0.2 * s for s in range(8)})
    assert judged.decision.kind == "confirmed" and "minus old: median −4.0" in judged.sentence
    assert "beyond it in 8 of 8 seeds, short of it in 0" in judged.sentence


def test_a_window_of_the_search_is_averaged(tmp_path: Path) -> None:
    """Five of ten epochs at 0.8 and more against 0.6; the later ones at 0.1 do not count."""
    (judged,) = only(study(tmp_path / "x", EARLY)).criteria
    assert judged.differences == pytest.approx({s: 0.2 + 0.01 * s for s in range(SEEDS)})
    (last,) = only(study(tmp_path / "y", {**EARLY, "when": None})).criteria
    assert last.differences == pytest.approx(dict.fromkeys(range(SEEDS), -0.5))
    assert last.decision.kind == "refuted"


def test_agreement_of_two_readings_over_the_epochs(tmp_path: Path) -> None:
    """The share falls where the accuracy does, in all seeds: τ-b is 1 up to epoch 8 and beyond."""
    together = {**EARLY, "beside": "true_accuracy", "when": None, "value": 0.0}
    (judged,) = only(study(tmp_path / "x", together)).criteria
    # 10 epochs in two levels, 5 and 5 against 6 and 4: 20 of 25 and 24 untied pairs agree.
    assert judged.differences == pytest.approx(dict.fromkeys(range(SEEDS), 20 / (25 * 24) ** 0.5))
    assert "τ(share, true_accuracy) of old" in judged.sentence


def test_one_criterion_decides_and_the_others_cannot_refute(tmp_path: Path) -> None:
    late = {**EARLY, "when": [0.5, 1.0]}
    verdict = only(study(tmp_path / "x", FEWER, late, EARLY))
    assert verdict.kind == "confirmed" and verdict.headline == "Confirmed"
    assert [j.word for j in verdict.criteria] == ["confirmed", "speaks against", "supports"]
    turned = only(study(tmp_path / "y", {**FEWER, "role": "support"}, {**late, "role": "primary"}))
    assert turned.kind == "refuted" and turned.criteria[0].word == "supports"


def test_nothing_is_judged_where_the_baseline_did_not_fail(tmp_path: Path) -> None:
    """Eight of eight are a rate of at least 0.69."""
    verdict = only(study(tmp_path / "x", FEWER, above=0.7))
    assert verdict.kind == "not judged" and "did not fail often enough" in verdict.headline
    assert verdict.check == (
        "The baseline old failed (collapsed) in 8 of 8 searches: a rate of at least 0.69 (95 %), "
        "not above the 0.7 that the file asks for"
    )
    write([verdict], tmp_path / "out")
    assert 'class="entry not_judged"' in (tmp_path / "out" / "verdict.html").read_text()


def test_a_loss_that_is_never_reached_counts_as_later_than_any(tmp_path: Path) -> None:
    """Two of eight controls never reach it; those seeds are no longer dropped."""
    sooner = {**FEWER, "metric": "crossing_epochs", "expect": "lower"}
    old = [ok(6, crossing_epochs=None if s < 2 else 9.0, history=[]) for s in range(SEEDS)]
    new = [ok(0, crossing_epochs=3.0, history=[]) for s in range(SEEDS)]
    stated = {"claim": "It is so.", "failure": {"of": "old"}, "criteria": [sooner]}
    root = folder(tmp_path / "x", {"old": old, "new": new}, explanation=stated)
    (judged,) = only(root).criteria
    assert judged.decision.seeds == 8 and judged.decision.beyond == 8
    assert sum(value == -float("inf") for value in judged.differences.values()) == 2
    assert "beyond it in 8 of 8" in judged.sentence


def test_seeds_that_bound_nothing_are_listed_instead_of_an_interval(tmp_path: Path) -> None:
    stated = {"claim": "It is so.", "failure": {"of": "old"}, "criteria": [FEWER]}
    few = {"old": [ok(6), ok(5), ok(6)], "new": [ok(1), ok(1), ok(2)]}
    (judged,) = only(folder(tmp_path / "x", few, explanation=stated)).criteria
    assert "median −4.0 (−5.0, −4.0, −4.0; smallest" in judged.sentence
    assert "about 3 more seeds" in judged.sentence


def test_what_was_not_measured_is_undecided(tmp_path: Path) -> None:
    verdict = only(study(tmp_path / "x", FEWER, {**EARLY, "metric": "elsewhere"}))
    assert verdict.kind == "confirmed" and verdict.criteria[1].word == "open"
    assert "was not measured" in verdict.criteria[1].sentence


def test_a_folder_without_an_explanation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="states no explanation"):
        read([folder(tmp_path / "x", {"old": [ok(1)], "new": [ok(1)]})])
    with pytest.raises(ValueError, match=r"explanation.criteria.0.smallest"):
        read([study(tmp_path / "y", {**FEWER, "smallest": -1})])


def test_an_explanation_of_older_rules_names_the_command_that_makes_it_new(tmp_path: Path) -> None:
    """Before there was a primary criterion and a check that the baseline failed at all."""
    old, new = [run(5, [0.8] * 4)] * 2, [run(1, [0.6] * 4)] * 2
    for stated, lacks in (
        ({"claim": "So.", "criteria": [EARLY]}, "how often .* and which criterion is the primary"),
        ({"claim": "So.", "failure": {"of": "old"}, "criteria": [EARLY]}, "say which criterion"),
        ({"claim": "So.", "criteria": [FEWER]}, "say how often the baseline must have failed;"),
    ):
        root = folder(tmp_path / lacks[-9:], {"old": old, "new": new}, explanation=stated)
        with pytest.raises(ValueError, match=rf"{lacks}.*`python -m bench run ablations/it\.yaml`"):
            read([root])


def test_tables_that_are_kept_without_their_runs_name_where_the_command_is(tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "1-x"
    kept.mkdir(parents=True)
    (kept / "runs.csv").write_text("label\n")
    with pytest.raises(ValueError, match="keeps tables of runs") as caught:
        read([kept])
    assert "README" not in str(caught.value)
    (kept.parent / "README.md").write_text("bench run")
    with pytest.raises(ValueError, match=r"README\.md has the `bench run` that makes them"):
        read([kept])


def test_a_search_in_two_folders_counts_once_with_all_its_readings(tmp_path: Path) -> None:
    verdicts = read([study(tmp_path / "x", FEWER), study(tmp_path / "y", FEWER)])
    table, searches = lead_table(verdicts)
    assert searches == 8
    assert table.set_index("signal").loc["share", "lead"] == 1 and table["searches"].max() == 8


def test_the_command_writes_a_page_that_links_and_escapes(tmp_path: Path) -> None:
    root = study(tmp_path / "x", FEWER, EARLY)
    (root / "report.html").write_text("page")
    done = CliRunner().invoke(
        application(), ["verdict", str(root), "--to", str(tmp_path / "out")], catch_exceptions=False
    )
    assert done.exit_code == 0 and done.stdout.startswith("Confirmed: It is")
    page = (tmp_path / "out" / "verdict.html").read_text()
    assert 'href="../x/report.html"' in page and "<b>so</b>" not in page
    assert "leads" in (tmp_path / "out" / "signals.csv").read_text()
    assert "| confirmed |" in (tmp_path / "out" / "verdict.md").read_text()


def test_signals_are_kept_in_one_frame(tmp_path: Path) -> None:
    import pandas as pd

    root, out = study(tmp_path / "x", FEWER), tmp_path / "signals.parquet"
    done = CliRunner().invoke(application(), ["signals", str(root), "-o", str(out)])
    assert done.exit_code == 0 and "share" in done.stdout
    assert len(pd.read_parquet(out)) == 2 * 8 * 10


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM FOUND: not tested in a browser")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_says_nothing_on_the_console(tmp_path: Path, width: int) -> None:
    write(read([study(tmp_path / "x", FEWER, EARLY, claim="long" * 60)]), tmp_path / "out")
    page = tmp_path / "out" / "verdict.html"
    shot = tmp_path / "shot.png"
    done = chromium(
        tmp_path, f"--window-size={max(width, 500)},900", f"--screenshot={shot}", f"file://{page}"
    )
    assert console(done) == [] and shot.stat().st_size > 20_000
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe width="{width}" src="out/verdict.html"></iframe><script>onload = () => '
        'document.title = "W" + document.querySelector("iframe").contentDocument.documentElement'
        ".scrollWidth</script>"
    )
    seen = chromium(
        tmp_path, "--allow-file-access-from-files", "--dump-dom", f"file://{frame}"
    ).stdout
    assert f"<title>W{width}</title>" in seen
