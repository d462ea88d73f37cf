"""What is written for papers is taken by LaTeX as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.report.summary import Summary
from bench.report.tex import as_tex
from tests.report.builders import failed, folder, ok

LATEX = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(
    LATEX is None,
    reason="NO LATEX FOUND: the table was not compiled (apt-get install texlive-latex-recommended)",
)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    arms = {"old": [ok(5)] * 3, "new_1": [ok(1), failed(), None]}
    question = "Is 50 % of {α} & #1 ~ ^x \\ $\\input{y}$ “so” [x] | 象 <b>?\n\\end{table}"
    return Summary.read(folder(tmp_path / "a_b", arms, of="new_1", question=question, epochs=0))


def test_columns_are_those_asked_for_in_their_order(summary: Summary) -> None:
    text = as_tex(summary, ["regret", "p", "true acc.", "finished"])
    head = next(line for line in text.splitlines() if line.startswith("variant"))
    assert head == r"variant & regret (points) & p (Holm) & true acc. (\%) & finished \\"
    assert r"\toprule" in text and "{lrrrr}" in text and r"\label{tab:a_b}" in text
    assert "corrected by Holm" in text and "paired difference" not in text


def test_an_unknown_column_is_named(summary: Summary) -> None:
    with pytest.raises(ValueError, match=r"--columns: no column 'regrets'; did you mean 'regret'"):
        as_tex(summary, ["regrets"])


@needs_latex
@pytest.mark.parametrize("columns", [[], ["difference", "tau", "collapsed"]])
def test_latex_compiles_it(summary: Summary, tmp_path: Path, columns: list[str]) -> None:
    (tmp_path / "table.tex").write_text(as_tex(summary, columns))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{table}\\end{document}"
    )
    done = subprocess.run(
        [str(LATEX), "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
    assert (tmp_path / "paper.pdf").stat().st_size > 5_000
