"""A result says which code and machine made it, and whoever reads it what of that has changed."""

import shutil
import subprocess
import sys

import pytest

from bench.report.notes import notes, outdated
from bench.report.summary import Summary
from bench.runs import made, sources
from tests.executors.common import ROOT, specs
from tests.report.builders import folder, ok


def git(folder, *words):
    named = ["-c", "user.name=n", "-c", "user.email=e"]
    done = subprocess.run(["git", "-C", folder, *named, *words], capture_output=True, check=True)
    return done.stdout.decode().strip()


def commit_seen(place):
    code = "from bench.runs.provenance import commit; print(commit())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the package, in a folder of its own."""
    inside = tmp_path / "place"
    shutil.copytree(ROOT / "bench", inside / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    (inside / ".gitignore").write_text("__pycache__\n")
    return inside


def test_the_commit_is_that_of_the_package_s_own_checkout(copy):
    assert commit_seen(copy) == ""
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "x")
    head = git(copy, "rev-parse", "--short=12", "HEAD")
    assert commit_seen(copy) == head
    (copy / "notes.txt").write_text("not the package's")
    assert commit_seen(copy) == head
    (copy / "bench/variants/mine.py").write_text("# a member that is not under version control")
    assert commit_seen(copy) == head + "+"


def test_another_repository_around_the_package_is_not_its_provenance(copy):
    """As in a virtual environment that lies in somebody's project."""
    (copy.parent / "theirs.txt").write_text("x")
    (copy.parent / ".gitignore").write_text("place\n")
    git(copy.parent, "init", "-q")
    git(copy.parent, "add", "-A")
    git(copy.parent, "commit", "-qm", "x")
    assert commit_seen(copy) == ""
    git(copy, "init", "-q")  # and not one that merely lies there, without the package in it
    git(copy, "commit", "-qm", "empty", "--allow-empty")
    assert commit_seen(copy) == ""


def test_the_source_of_each_member_and_of_the_engine_is_known(monkeypatch, tmp_path):
    (run,) = specs(only=["skip_dropout_0.3"])
    found = sources.sources(run)
    assert {"engine", "variants/skip_dropout", "spaces/nb201", "data/digits"} <= set(found)
    assert sources.changed(found) == []
    monkeypatch.setattr(sources, "source", lambda name: "x" if "skip" in name else found[name])
    assert sources.changed(found) == ["skip_dropout.py"]


def test_a_helper_of_a_member_s_own_seam_is_part_of_its_source():
    path = ROOT / "bench/variants/gdas.py"
    named = {p.name for p in sources._with_helpers(path, "variants")}
    assert "gdas.py" in named and any(name.startswith("_") for name in named)
    assert not named & {"skip_dropout.py", "variant.py"}


def test_changed_code_and_mixed_arithmetic_are_said(tmp_path):
    made = {"sources": {"variants/skip_dropout": "0" * 16}}
    results = [
        ok(1, kernel="compiled", kernel_reason="", processor="A"),
        ok(1, kernel="torch", kernel_reason="no C++ compiler", processor="B"),
    ]
    for result in results:
        result["provenance"] = made
    root = folder(tmp_path / "x", {"old": results, "new": results})
    summary = Summary.read(root)
    assert outdated(summary) == "Skip_dropout.py changed since 4 runs; --force runs them again."
    said = " ".join(notes(summary))
    assert "2 compiled, 2 torch" in said and "2 A, 2 B" in said


def test_alike_runs_give_no_warning():
    rows = [{"kernel": "compiled", "processor": "A"}] * 3 + [{}]
    assert made.alike(rows) == []
    assert made.computed(rows) == "the compiled kernel"
    resumed = [{"kernel": "compiled then torch", "processor": "A"}]
    assert "compiled then torch" in made.alike(resumed)[0]
