"""Folders of results that were forged, every checksum right: one line that names the file, or it works.

`pytest -m stress tests/stress/test_forged.py` draws more.
"""

import hashlib
import json
import random

import numpy as np
import pandas as pd
import pytest

from bench.files import UnfitFileError
from bench.ranking.scores import read_scores
from bench.report.summary import Summary
from bench.runs import packed, store
from tests.report.builders import ranking
from tests.runs import forged, forged_packed

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder of results; whoever changes it puts back what was there."""
    return forged_packed.output(tmp_path_factory.mktemp("forged"))


@pytest.fixture
def kept(root):
    """Put back all files of the folder afterwards."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    yield root
    for path in list(root.rglob("*")):
        if path.is_symlink() or (path.is_file() and path not in before):
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def first(root):
    """Return the name of a run that is done."""
    return next(n for n, r in sorted(packed.results(root).items()) if r["status"] == "ok")


def test_a_forged_value_is_one_line_or_works(root):
    assert [forged_packed.invoke(name, root)[1] for name in ("merge", "report", "compare")] == [
        ""
    ] * 3
    draw = random.Random(0)
    found = [
        line
        for _ in range(8)
        for line in forged_packed.attack(root, draw, ["verify", "merge", "compare"])
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (("status",), forged.GONE, "status: missing"),
        (("status",), ["ok"], "status"),
        (("history", 0, "epoch"), "x", "history[0].epoch"),
        (("history",), {"x": 1}, "history"),
        (("truth", "best"), "high", "truth.best"),
        (("seconds",), [1], "seconds"),
        (("stopped",), 3, "stopped"),
        (("digest",), forged.GONE, "digest: of another run"),
        (("digest",), "", "digest: of another run"),
        (("files",), {"../x": "0"}, "files"),
    ],
)
def test_a_packed_result_of_other_types_is_damaged_and_says_where(kept, at, value, says):
    results, name = forged_packed.contents(kept), first(kept)
    forged_packed.put(kept, {**results, name: forged.changed(results[name], at, value)})
    assert set(packed.results(kept)) == set(results) - {name}
    row = Summary.read(kept).runs.set_index("folder").loc[name]
    assert row["status"] != "ok"
    assert row["error"].startswith(f"its result is damaged (results.parquet: {name}: {says}")


def test_scores_that_were_changed_are_not_those_of_the_result(kept):
    name = first(kept)
    path = packed.Packed.read(kept).scores(name)
    frame = pd.read_parquet(path)
    frame["accuracy"] += 1
    frame.to_parquet(path, index=False)
    assert name not in packed.results(kept)
    assert "missing, or was changed" in packed.Packed.read(kept).problems[name]
    path.unlink()
    assert name not in packed.results(kept)


def with_scores(root, frame):
    """Give the scores of a run another table, and its result that table's hash."""
    results, name = forged_packed.contents(root), first(root)
    path = root / packed.SCORES / f"{name}.parquet"
    frame.to_parquet(path, index=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    results[name] = {**results[name], "files": {store.RANKING: digest}}
    forged_packed.put(root, results)
    return path


SCORES = ranking(0)
FORGED = {
    "accuracy is missing": (SCORES.drop(columns="accuracy"), "accuracy: missing"),
    "truth is missing": (SCORES.drop(columns="truth"), "truth: missing"),
    "arch is missing": (SCORES.drop(columns="arch"), "arch: missing"),
    "arch is a number": (SCORES.assign(arch=1.0), "arch: expected texts"),
    "arch has gaps": (SCORES.assign(arch=[None, *SCORES["arch"][1:]]), "arch: expected texts"),
    "accuracy is a text": (SCORES.assign(accuracy="high"), "accuracy: expected numbers"),
    "loss is a list": (SCORES.assign(loss=[[1.0]] * len(SCORES)), "loss: expected numbers"),
    "accuracy is huge": (SCORES.assign(accuracy=1e300), "accuracy: expected numbers"),
    "truth is a date": (SCORES.assign(truth=pd.Timestamp(0)), "truth: expected numbers"),
    "weights below zero": (SCORES.assign(weight=-1.0), "weight: expected numbers above zero"),
    "weights that are none": (SCORES.assign(weight=np.nan), "weight: expected numbers above"),
    "strata are texts": (SCORES.assign(stratum="x"), "stratum: expected whole numbers"),
    "nothing in it": (pd.DataFrame({"x": []}), "arch: missing"),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_scores_say_file_and_column(kept, what):
    frame, says = FORGED[what]
    path = with_scores(kept, frame)
    with pytest.raises(UnfitFileError) as caught:
        read_scores(path)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "\n" not in str(caught.value)


def test_scores_that_cannot_be_ranked_are_a_line_of_verify(kept):
    path = with_scores(kept, SCORES.drop(columns="accuracy"))
    text, problem = forged_packed.invoke("verify", kept)
    assert not problem and f"{path}: accuracy: missing" in text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "files"),
        ({"x.json": 3}, "files.x.json"),
        ({"x.json": ["ab"]}, "files.x.json"),
        ("text", "files"),
        (None, "files"),
    ],
)
def test_forged_hashes_say_file_and_field(kept, value, says):
    path = kept / packed.HASHES
    path.write_text(forged.text_of(forged.sealed({"files": value})))
    text, problem = forged_packed.invoke("verify", kept)
    assert not problem and f"{path}: {says}" in text


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "a\x00b", "scores/../x.csv", "x" * 300, ".csv", "\x1b[2J"],
)
def test_hashes_name_files_of_the_folder_alone(kept, name):
    sealed = json.loads((kept / packed.HASHES).read_text())
    sealed = forged.sealed({"files": {**sealed["files"], name: "0" * 64}})
    (kept / packed.HASHES).write_text(forged.text_of(sealed))
    text, problem = forged_packed.invoke("verify", kept)
    assert not problem and "is no file of a folder of results" in text


def test_a_link_in_the_place_of_a_packed_file_is_a_line(kept):
    path = kept / packed.TABLE
    path.unlink()
    path.symlink_to("/etc/passwd")
    text, problem = forged_packed.invoke("verify", kept)
    assert not problem and "FAILED runs.csv: cannot be read" in text and "is a link" in text
    path.unlink()


def test_a_table_of_results_of_other_columns_is_refused(kept):
    pd.DataFrame({"folder": [1], "result": [2.0]}).to_parquet(kept / packed.RESULTS, index=False)
    with pytest.raises(ValueError, match=r"results.parquet: expected the columns folder, result"):
        packed.Packed.read(kept)
    frame = pd.DataFrame({"folder": [1], "result": [2.0], "history": [None]})
    frame.to_parquet(kept / packed.RESULTS, index=False)
    assert packed.results(kept) == {}
