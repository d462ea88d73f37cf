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
    "says": "without the variant there are more skips", "metric": "skip_count", "of": "new",
    "against": "old", "expect": "lower", "smallest": 1.0,
}  # fmt: skip
EARLY = {
    "says": "early on the share is above its null", "metric": "share", "of": "old", "value": 0.6,
    "expect": "higher", "smallest": 0.1, "when": [0.0, 0.5],
}  # fmt: skip


def run(skips: float, shares: list[float], fall: int = 99) -> dict[str, Any]:
    epochs = [
        {"epoch": e, "share": s, "true_accuracy": 90.0 if e < fall else 54.3}
        for e, s in enumerate(shares, start=1)
    ]
    return ok(skips, history=epochs)


def study(root: Path, *criteria: dict[str, Any], claim: str = "It is <b>so</b>.") -> Path:
    old = [run(5 + 0.1 * s, [0.8 + 0.01 * s] * 5 + [0.1] * 5, 7) for s in range(5)]
    new = [run(1 + 0.1 * s, [0.6] * 10) for s in (4, 3, 2, 1, 0)]
    return folder(
        root, {"old": old, "new": new}, explanation={"claim": claim, "criteria": criteria}
    )


def only(root: Path) -> Verdict:
    (verdict,) = read([root])
    return verdict


def test_a_difference_to_a_control_is_paired_by_seed(tmp_path: Path) -> None:
    (judged,) = only(study(tmp_path / "x", FEWER)).criteria
    assert judged.differences == pytest.approx({0: -3.6, 1: -3.8, 2: -4.0, 3: -4.2, 4: -4.4})
    assert judged.decision.kind == "confirmed" and "minus old: −4.0" in judged.sentence


def test_a_window_of_the_search_is_averaged(tmp_path: Path) -> None:
    """Five of ten epochs at 0.8 and more against 0.6; the later ones at 0.1 do not count."""
    (judged,) = only(study(tmp_path / "x", EARLY)).criteria
    assert judged.differences == pytest.approx({s: 0.2 + 0.01 * s for s in range(5)})
    (last,) = only(study(tmp_path / "y", {**EARLY, "when": None})).criteria
    assert last.differences == pytest.approx(dict.fromkeys(range(5), -0.5))
    assert last.decision.kind == "refuted"


def test_agreement_of_two_readings_over_the_epochs(tmp_path: Path) -> None:
    """The share falls where the accuracy does, in all seeds: τ-b is 1 up to epoch 8 and beyond."""
    together = {**EARLY, "beside": "true_accuracy", "when": None, "value": 0.0}
    (judged,) = only(study(tmp_path / "x", together)).criteria
    # 10 epochs in two levels, 5 and 5 against 6 and 4: 20 of 25 and 24 untied pairs agree.
    assert judged.differences == pytest.approx(dict.fromkeys(range(5), 20 / (25 * 24) ** 0.5))
    assert "τ(share, true_accuracy) of old" in judged.sentence


def test_an_explanation_falls_with_one_criterion(tmp_path: Path) -> None:
    verdict = only(study(tmp_path / "x", FEWER, {**EARLY, "when": [0.5, 1.0]}))
    assert verdict.kind == "refuted" and verdict.headline == "Refuted on 1 of 2 criteria"


def test_what_was_not_measured_is_undecided(tmp_path: Path) -> None:
    verdict = only(study(tmp_path / "x", FEWER, {**FEWER, "metric": "elsewhere"}))
    assert verdict.kind == "undecided"
    assert "was not measured" in verdict.criteria[1].sentence


def test_a_folder_without_an_explanation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="states no explanation"):
        read([folder(tmp_path / "x", {"old": [ok(1)], "new": [ok(1)]})])
    with pytest.raises(ValueError, match=r"explanation.criteria.0.smallest"):
        read([study(tmp_path / "y", {**FEWER, "smallest": -1})])


def test_a_search_in_two_folders_counts_once_with_all_its_readings(tmp_path: Path) -> None:
    verdicts = read([study(tmp_path / "x", FEWER), study(tmp_path / "y", FEWER)])
    table, searches = lead_table(verdicts)
    assert searches == 5
    assert table.set_index("signal").loc["share", "lead"] == 1 and table["searches"].max() == 5


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
    assert len(pd.read_parquet(out)) == 2 * 5 * 10


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
