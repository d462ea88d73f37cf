"""Results that travel: packed, read by every command, joined with those of another machine, verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from typer.testing import CliRunner

import bench
from bench.cli import application
from bench.runs import store

ASKED = {
    "question": "Does dropout on skips help?",
    "contrast": {"metric": "skip_count", "of": "drop", "against": "darts"},
    "space": {"name": "nb201", "channels": 4, "cells": 1},
    "variants": {"darts": {}, "drop": {"skip_dropout": {"rate": 0.3}}},
}
SETS = ["search.epochs=2", "search.batch=64"]


def call(*words: object):
    return CliRunner().invoke(application(), [str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """One folder of two seeds, and the same in two of one seed each, made from Python alone."""
    mpl.use("Agg")
    place = tmp_path_factory.mktemp("place")
    for name, seeds in (("whole", [0, 1]), ("first", [0]), ("second", [1])):
        asked = bench.make_ablation(ASKED, "smoke", name="asked", sets=SETS, seeds=seeds)
        if name != "whole":
            (place / name).mkdir()
            for folder in (place / "whole").glob(f"*-seed{seeds[0]}-*"):
                shutil.copytree(folder, place / name / folder.name)
        bench.run(asked, place / name, executor="inline")  # the copies are done
    for name in ("whole", "first", "second"):
        done = call("pack", place / name, "-o", place / "results" / name)
        assert done.exit_code == 0, done.exception
    return place


def test_a_run_from_python_gives_frames_and_figures(place):
    found = bench.Results(place / "whole")
    assert list(found.runs["status"]) == ["ok"] * 4
    assert set(found.frames) == {"variants", "runs", "history", "alphas", "rankings"}
    assert "drop" in found.answer and len(found.frames["rankings"]) == 80
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert found.plot("differences", axes) is axes.figure and axes.get_xlabel()
    for name in found.figures:
        assert found.plot(name).axes
    with pytest.raises(ValueError, match="did you mean 'differences'"):
        found.plot("diferences")


def test_what_was_packed_is_small_and_says_the_same(place):
    packed, folder = place / "results/whole", place / "whole"
    assert not list(packed.rglob("*.html")) and not list(packed.rglob("*.pt"))
    kept = sum(p.stat().st_size for p in packed.rglob("*") if p.is_file())
    assert kept < 0.3 * sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    for words in (["report", "--json"], ["signals"], ["figure"]):
        one, two = (call(words[0], root, *words[1:]) for root in (folder, packed))
        assert one.exit_code == two.exit_code == 0, (one.exception, two.exception)
        assert one.stdout == two.stdout
    a, b = (call("compare", "drop", "darts", "--in", root, "--json") for root in (folder, packed))
    assert json.loads(a.stdout) == json.loads(b.stdout) and json.loads(a.stdout)
    between = call("compare", folder, packed, "-m", "skip_count", "--json")
    assert all(d == 0 for item in json.loads(between.stdout) for d in item["differences"])


def test_two_machines_results_join_to_those_of_one(place, tmp_path):
    done = call("merge", place / "results/first", place / "second", "-o", tmp_path / "both")
    assert done.exit_code == 0, done.exception
    one, two = bench.Results(place / "whole"), bench.Results(tmp_path / "both")
    pd.testing.assert_frame_equal(one.variants, two.variants)
    pd.testing.assert_frame_equal(one.runs, two.runs)
    assert call("verify", tmp_path / "both").exit_code == 0
    again = call("merge", tmp_path / "both", place / "results/first", "-o", tmp_path / "again")
    assert again.exit_code == 0 and len(bench.Results(tmp_path / "again").runs) == 4


def edited(root: Path, to: Path, change) -> Path:
    """Copy a run folder with another result, sealed as if nothing had been."""
    shutil.copytree(root, to)
    path = sorted(to.glob("*/result.json"))[0]
    store.write_json(path, store.seal(change(json.loads(path.read_text()))))
    return to


def test_another_processor_is_named_and_two_outcomes_on_one_are_refused(place, tmp_path):
    first, second = place / "first", place / "second"
    other = edited(second, tmp_path / "other", lambda r: {**r, "processor": "Another 9000"})
    done = call("merge", first, other, "-o", tmp_path / "x")
    assert done.exit_code == 0 and "Another 9000" in done.stderr
    liar = edited(first, tmp_path / "liar", lambda r: {**r, "skip_count": 9.0})
    done = call("merge", first, liar, "-o", tmp_path / "y")
    assert "two outcomes (skip_count)" in str(done.exception) and not (tmp_path / "y").exists()


def test_another_question_or_other_settings_are_refused(place, tmp_path):
    for change, said in (
        ({"question": "Another?"}, "question is another"),
        ({"variants": {"darts": {}, "drop": {"skip_dropout": {"rate": 0.5}}}}, "other settings"),
    ):
        asked = bench.make_ablation(
            {**ASKED, **change}, "smoke", name="asked", sets=SETS, seeds=[5]
        )
        from bench.runs.record import record
        from bench.runs.spec import plan

        root = tmp_path / said.replace(" ", "-")
        record(asked, plan(asked), root, "test")
        done = call("merge", place / "first", root, "-o", tmp_path / "z")
        assert said in str(done.exception)


@pytest.mark.parametrize(
    "what", ["runs.csv", "results.parquet", "ablation.json", "hashes.json", "scores"]
)
def test_whatever_is_changed_is_found(what, place, tmp_path):
    root = tmp_path / "results"
    shutil.copytree(place / "results/whole", root)
    path = sorted((root / "scores").iterdir())[0] if what == "scores" else root / what
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1) if what != "scores" else content + b"x")
    done = call("verify", root)
    assert done.exit_code != 0 and what in done.stdout + str(done.exception)


def test_numbers_are_computed_again_and_not_only_hashed(place, tmp_path):
    """Whoever forges hashes too is found by the numbers."""

    def lie(result):
        return {**result, "tau": 0.987654}

    forged = edited(place / "whole", tmp_path / "forged", lie)
    assert call("pack", forged, "-o", tmp_path / "packed").exit_code == 0
    done = call("verify", tmp_path / "packed")
    assert done.exit_code == 1 and "tau is 0.987654 in the result" in done.stdout
    assert call("verify", place / "results/whole").exit_code == 0


def test_a_folder_of_something_else_is_not_written_into(place, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = call("pack", place / "whole", "-o", tmp_path)
    assert "no folder of results" in str(done.exception)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_figure_is_a_file_for_a_paper(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = call("figure", place / "results/whole").stdout
    assert listed.startswith("differences")
    for ending, begins in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        done = call("figure", place / "results/whole", "differences", "-o", f"f.{ending}")
        assert done.exit_code == 0 and Path(f"f.{ending}").read_bytes().startswith(begins)
    assert "--output f.doc" in str(
        call("figure", place / "whole", "differences", "-o", "f.doc").exception
    )


def test_shards_are_disjoint_whole_and_even():
    from bench.runs.cost import multiply_adds
    from bench.runs.shard import read, share
    from bench.runs.spec import plan

    many = {**ASKED, "variants": {**ASKED["variants"], "long": {"search": {"epochs": 9}}}}
    specs = plan(bench.make_ablation(many, "smoke", seeds=5))
    for number in (1, 3, 4, 20):
        shares = [share(specs, i + 1, number) for i in range(number)]
        names = [spec.folder for one in shares for spec in one]
        assert sorted(names) == sorted(spec.folder for spec in specs)
        costs = [sum(multiply_adds(spec) for spec in one) for one in shares]
        assert max(costs) - min(costs) <= max(multiply_adds(spec) for spec in specs) * 1.001
    assert share(specs[::-1], 2, 3) == share(specs, 2, 3)[::-1]
    assert read("2/8") == (2, 8)
    queue = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5"}
    assert read("auto/8", queue) == (3, 8) and read("auto/8", {"PBS_ARRAY_INDEX": "0"}) == (1, 8)
    for text, said in (("0/8", "not from 1"), ("9/8", "not from 1"), ("x", "expected i/n")):
        with pytest.raises(ValueError, match=f"--shard {text}: .*{said}"):
            read(text)
    with pytest.raises(ValueError, match="no queue says"):
        read("auto/8", {})


def test_shards_of_machines_that_share_nothing_end_in_one_table(place, tmp_path, monkeypatch):
    """As an indexed job of Kubernetes would: the index from the environment, a folder each."""
    import yaml

    monkeypatch.chdir(tmp_path)
    Path("asked.yaml").write_text(yaml.safe_dump(ASKED))
    sets = [word for text in SETS for word in ("--set", text)]
    for index in range(2):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        done = call(
            "run",
            "asked.yaml",
            "-p",
            "smoke",
            "--seeds",
            "0,1",
            *sets,
            "--shard",
            "auto/2",
            "--executor",
            "inline",
            "-o",
            f"pod{index}",
        )
        assert done.exit_code == 0, done.exception
        assert len(list(Path(f"pod{index}").glob("*-seed*"))) == 2
    assert call("merge", "pod0", "pod1", "-o", "all").exit_code == 0
    clocks = ["seconds", "search_seconds", "ranking_seconds", "cost_seconds", "checksum"]
    assert call("verify", "all").exit_code == 0
    one, two = (bench.Results(root).runs.drop(columns=clocks) for root in (place / "whole", "all"))
    pd.testing.assert_frame_equal(one, two)


def test_from_python_too_seeds_are_added_until_it_is_decided(tmp_path):
    seeds = {"until": "decided", "least": 2, "most": 2, "others": 0}
    profile = {"data": {"name": "digits", "size": 128}, "truth": "analog", "seeds": seeds}
    profile |= {"search": {"epochs": 1, "batch": 64}, "ranking": None}
    asked = bench.make_ablation(ASKED, profile, name="asked")
    found = bench.run(asked, tmp_path / "out", executor="inline")
    assert len(found.runs) == 4 and (found.runs["status"] == "ok").all()
    assert "Not decided yet" in found.answer or "Decided" in found.answer
