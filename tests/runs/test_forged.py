"""Forged files, their checksums right: one line that names the file, or it works; nothing is lost.

A few changes by a fixed seed here; `pytest -m stress tests/stress/test_forged.py` draws more.
"""

import json
import os
import random

import pytest

from bench.ablation.file import read_ablation
from bench.commands.retry import planned
from bench.files import UnfitFileError
from bench.report.table import as_csv
from bench.runs import index, lock, manifest, store
from bench.runs.manifest import read_manifest
from bench.runs.spec import plan
from tests.executors.common import ROOT
from tests.runs import forged

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return an output folder; whoever changes it puts back what was there."""
    return forged.output(tmp_path_factory.mktemp("forged"))


@pytest.fixture
def kept(root):
    """Put back all files of the folder afterwards."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    yield root
    for path, content in before.items():
        path.write_bytes(content)


def test_the_folder_is_sound_before_anything_is_forged(root):
    assert [forged.invoke(command, root)[1] for command in forged.COMMANDS] == [""] * 6
    assert forged.seen(root) == forged.sound(root)
    assert len(forged.sound(root)) == 5  # one waits


@pytest.mark.parametrize("name", forged.ARTEFACTS)
def test_a_forged_value_is_one_line_or_works(root, name):
    draw = random.Random(name)
    cheap = [forged.attack(root, name, draw, ("status", "gc", "retry")) for _ in range(6)]
    assert not [line for found in cheap for line in found]


@pytest.mark.parametrize("name", [manifest.MANIFEST, store.RESULT])
def test_pages_and_verdicts_of_forged_values(root, name):
    draw = random.Random(f"{name} read")
    found = [forged.attack(root, name, draw, ("verdict", "compare", "report")) for _ in range(2)]
    assert not [line for lines in found for line in lines]


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (("history", 0, "epoch"), "x", "history[0].epoch"),
        (("history", 1, "alpha"), [[1.0], [1.0, 2.0]], "history[1].alpha"),
        (("stopped",), 3, "stopped"),
        (("truth", "best"), "high", "truth.best"),
        (("seconds",), [1], "seconds"),
        (("weight_free_share",), "half", "weight_free_share"),
        (("work",), 10**30, "work"),
        (("tau",), 1e308, "tau"),
        (("files",), {"../out/x": "0"}, "files"),
        (("reasons",), ["x"], "reasons"),
        (("status",), "fine", "status"),
        (("provenance", "sources"), {"engine": 3}, "provenance.sources.engine"),
    ],
)
def test_a_result_of_other_types_is_damaged_and_says_where(kept, at, value, says):
    path = forged.path_of(kept, store.RESULT)
    forged.write(path, forged.changed(forged.read(path), at, value))
    assert store.read_result(path.parent) is None
    assert f"{store.RESULT}: {says}" in store.problem(path.parent)
    text, problem = forged.invoke("status", kept)
    state = next(s for s in json.loads(text)[0]["runs"] if s["folder"] == path.parent.name)
    assert not problem and says in state["error"] and state["kind"] != "done"


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (("runs", 0), "../x-seed0-ab", "runs"),
        (("runs", 0), "a\x1b[2J-seed0-ab", "runs"),
        (("runs", 0), "a/b-seed0-ab", "runs"),
        (("runs",), "text", "runs"),
        (("arms", 0, "label"), "a b", "arms[0].label"),
        (("arms", 0, "settings", "search", "epochs"), 0, "arms[0].settings.search.epochs"),
        (("arms",), [{"label": "a"}, {"label": "a"}], "arms"),
        (("contrast", "expect"), "better", "contrast.expect"),
        (("contrast", "smallest"), "x", "contrast.smallest"),
        (("seeds",), [2**60], "seeds[0]"),
        (("stated",), {"time": 3}, "stated.time"),
        (("question",), None, "question"),
    ],
)
def test_a_manifest_of_other_types_is_refused_and_says_where(kept, at, value, says):
    path = kept / manifest.MANIFEST
    forged.write(path, forged.changed(forged.read(path), at, value))
    with pytest.raises(UnfitFileError) as caught:
        read_manifest(kept)
    assert f"{path}: {says}" in str(caught.value) and str(caught.value).isprintable()


def test_escapes_of_a_foreign_folder_reach_no_terminal(kept):
    clear = "\x1b[2J\x1b]0;x\x07"
    path = forged.path_of(kept, store.RESULT)
    content = forged.read(path)
    content |= {"status": "failed", "error": clear, "kernel": clear, f"x{clear}": 1.0}
    forged.write(path, content)
    (path.parent / f".{store.SPEC}.{clear}").write_text("x")
    (kept / f".{path.parent.name}.gone.{clear.replace('/', '')}").mkdir()
    try:
        for command in ("status", "gc", "report", "compare"):
            text, problem = forged.invoke(command, kept)
            assert not problem, problem
            assert "\x1b" not in text and "\x07" not in text
    finally:
        for left in (*kept.glob("*/.*\x1b*"), *kept.glob(".*\x1b*")):
            left.rmdir() if left.is_dir() else left.unlink()


def test_progress_of_other_types_is_left_out(kept):
    path = forged.path_of(kept, store.PROGRESS)
    forged.write(path, {"epoch": "x", "epochs": [2], "elapsed": 1e300, "status": 3, "error": "e"})
    assert store.read_progress(path.parent) == {}
    forged.write(path, {"epoch": "x", "epochs": [2], "elapsed": 3.0, "status": 3, "error": "e\n"})
    assert store.read_progress(path.parent) == {"elapsed": 3.0, "error": "e "}


def test_a_forged_index_is_no_result(kept):
    index.rows(kept)
    content = forged.read(kept / index.CACHE)
    first, second, third, *_ = content["rows"]
    content["rows"][first][1] = {"status": ["ok"], "seconds": "x"}
    content["rows"][second][1] |= {"kernel": 3}
    content["rows"][third][1] |= {"error": "\x1b[2J"}
    forged.write(kept / index.CACHE, content)
    assert any(
        row["error"] == "\\x1b[2J" for row in index.rows(kept) if "error" in row
    )  # it is used
    assert {row["folder"] for row in index.rows(kept)} == forged.sound(kept)
    assert all(row["status"] in ("ok", "diverged") for row in index.rows(kept))


def run_of(tmp_path, *sets):
    """Return a run that nobody can start here, written as a foreign folder has it."""
    file = tmp_path / "asked.yaml"
    file.write_text(forged.ABLATION)
    asked = read_ablation(file, str(ROOT / "ablations/profiles/smoke.yaml"), list(sets), "1")
    (run,) = plan(asked, ["darts"])
    return run


def test_a_foreign_folder_downloads_nothing(tmp_path, monkeypatch):
    from bench.data.cifar10 import Cifar10

    monkeypatch.setattr(Cifar10, "content", lambda self, train=True: "ab")
    run = run_of(tmp_path, "data.name=cifar10", "data.download=true")
    assert run.settings.data.download
    folder = tmp_path / run.folder
    store.write_spec(folder, run)
    assert store.read_spec(folder, own=True) == run
    found = store.read_spec(folder)
    assert not found.settings.data.download and found.folder == run.folder


def test_a_foreign_folder_names_no_truth_whose_files_are_code(tmp_path, root, monkeypatch):
    from bench.truth.nasbench301 import Nasbench301

    run = run_of(tmp_path)
    store.write_spec(tmp_path / run.folder, run)
    assert store.read_spec(tmp_path / run.folder) == run and planned(root)
    assert Nasbench301.executes  # as the truth of this run does from here on
    monkeypatch.setattr(type(run.settings.truth), "executes", True)
    with pytest.raises(ValueError, match=r"spec.json: settings.truth: analog runs code"):
        store.read_spec(tmp_path / run.folder)
    with pytest.raises(ValueError, match=r"settings.truth: analog runs code"):
        planned(root)
    assert store.read_spec(tmp_path / run.folder, own=True) == run


def test_no_cell_and_no_heading_of_a_csv_is_a_formula():
    import pandas as pd

    frame = pd.DataFrame(
        [["=1+1", 1.0, -2.0], ["@x", 2.0, 3.0], ["plain", None, 1]],
        columns=["+a", "=HYPERLINK(1)", "-b"],
    )
    lines = as_csv(frame).splitlines()
    assert lines[0] == "'+a,'=HYPERLINK(1),'-b"
    assert [line.split(",")[0] for line in lines[1:]] == ["'=1+1", "'@x", "plain"]
    assert lines[1].endswith("-2.0")  # a number stays one


@pytest.mark.parametrize(
    "words", [["run", "x.yaml", "-o", ""], ["plan", "x.yaml", "--output="], [""]]
)
def test_an_empty_word_is_refused_before_it_means_this_folder(words):
    from typer.testing import CliRunner

    from bench.cli import application

    done = CliRunner().invoke(application(), words)
    assert isinstance(done.exception, ValueError) and "empty" in str(done.exception)


@pytest.mark.parametrize("at", ["host", "boot", "pid", "began", "whole"])
def test_a_forged_lock_is_nobodys(tmp_path, at):
    with lock.hold(tmp_path):
        owner = json.loads((tmp_path / lock.LOCK).read_text())
    path = tmp_path / lock.LOCK
    for value in forged.VALUES:
        changed = forged.changed(owner, (at,) if at != "whole" else (), value)
        path.write_text(json.dumps(changed), encoding="utf-8", errors="surrogatepass")
        os.utime(path, (0, 0))
        assert not lock.alive(tmp_path), (at, value)
    with lock.hold(tmp_path, wait=False) as mine:
        assert mine and lock.alive(tmp_path)
