"""A run is what it is made from: places do not count, what lies there does."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.ablation.file import read_ablation
from bench.commands.retry import refuse_others
from bench.contracts import identity, registry
from bench.ranking.protocol import Protocol
from bench.runs import store
from bench.runs.campaign import Campaign
from bench.runs.contents import Contents
from bench.runs.reopen import reopen
from bench.runs.run import execute
from bench.runs.spec import plan
from bench.spaces.nb201.cells import strings
from bench.training.tabulation import Tabulation
from bench.training.train import Evaluation, Recipe
from tests.executors.common import ROOT, specs

FILE = Path(__file__).parents[2] / "ablations" / "skip_dropout.yaml"
CELLS = [
    f"|{a}~0|+|{b}~0|none~1|+|skip_connect~0|none~1|{a}~2|"
    for a in ("nor_conv_3x3", "nor_conv_1x1", "skip_connect")
    for b in ("nor_conv_3x3", "avg_pool_3x3")
]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def images(root, seed=0, count=8):
    draws = np.random.default_rng(seed)
    for split in ("train", "test"):
        for label in ("a", "b"):
            (root / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{i}.png")
    return root


def table(path, first=90.0):
    rows = [f"{cell},{first - i / 400:.4f}" for i, cell in enumerate(strings())]
    path.write_text("\n".join(["arch,cifar10_test_200", *rows]) + "\n")
    return path


def cells(path, count=4):
    path.write_text("\n".join(CELLS[:count]) + "\n")
    return path


def sets(tmp_path):
    return [
        "data.name=image_folder",
        "data.size=null",
        f"data.root={tmp_path / 'x'}",
        "truth.name=table",
        f"truth.path={tmp_path / 't.csv'}",
        "truth.column=cifar10_test_200",
        "ranking.population.kind=list",
        f"ranking.population.file={tmp_path / 'cells.txt'}",
        "ranking.population.size=null",
        "search.epochs=1",
        "search.batch=4",
    ]


@pytest.fixture
def made(tmp_path):
    images(tmp_path / "x")
    table(tmp_path / "t.csv")
    cells(tmp_path / "cells.txt")
    return tmp_path


def folders(chosen):
    return [spec.folder for spec in plan(read_ablation(FILE, "smoke", chosen, "2"), ["darts"])]


def test_moving_everything_keeps_every_run(made):
    before = folders(sets(made))
    shutil.copytree(made / "x", made / "elsewhere" / "x")
    for name in ("t.csv", "cells.txt"):
        shutil.copy(made / name, made / "elsewhere" / name)
    assert folders(sets(made / "elsewhere")) == before
    slash = [item.replace(str(made / "x"), f"{made / 'x'}/") for item in sets(made)]
    assert folders(slash) == before


def repaint(root):
    """Change one pixel, and nothing that the file system tells but the time of the change."""
    path = root / "x" / "train" / "a" / "0.png"
    old = path.stat()
    for value in range(256):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0, 0] = value
        Image.fromarray(pixels).save(root / "new.png")
        new = (root / "new.png").read_bytes()
        if len(new) == old.st_size and new != path.read_bytes():
            path.write_bytes(new)
            break
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_size == old.st_size and path.stat().st_mtime_ns == old.st_mtime_ns


@pytest.mark.parametrize(
    "change",
    [
        repaint,
        lambda root: table(root / "t.csv", 80.0),
        lambda root: cells(root / "cells.txt", 5),
        lambda root: (root / "x/train/a/0.png").rename(root / "x/train/b/9.png"),
    ],
    ids=["images", "truth", "cells", "labels"],
)
def test_replacing_any_content_makes_other_runs(made, change):
    before = folders(sets(made))
    assert folders(sets(made)) == before
    change(made)
    assert not set(folders(sets(made))) & set(before)


def test_contents_are_taken_once_for_all_runs(made, monkeypatch):
    taken = []
    source = registry.load("data", "image_folder")
    own = source.content
    monkeypatch.setattr(source, "content", lambda *a, **k: taken.append(1) or own(*a, **k))
    plan(read_ablation(FILE, "smoke", sets(made), "5"))
    assert len(taken) == 1


def test_what_is_absent_is_an_error_of_a_run_and_a_warning_of_a_plan(made):
    shutil.rmtree(made / "x")
    ablation = read_ablation(FILE, "smoke", sets(made), "1")
    with pytest.raises(ValueError, match="image_folder: no folder"):
        plan(ablation)
    said = []
    assert plan(ablation, (), Contents(absent=said.append))
    assert len(said) == 1 and "no folder" in said[0]


@pytest.mark.parametrize("name", registry.names("truth"))
def test_a_truth_knows_its_hash_before_it_is_loaded(name, made):
    fields = {
        "table": {"path": made / "t.csv", "column": "cifar10_test_200"},
        "standalone": {"epochs": 1, "training": {"test": "half", "batch": 8}},
        "analog": {},
    }
    if name not in fields:
        pytest.skip(f"{name}: nothing to load here")
    source = registry.parse("truth", {"name": name, **fields[name]})
    data = registry.parse("data", {"name": "image_folder", "root": made / "x"})
    space = registry.parse("spaces", {"name": "nb201", "channels": 4, "cells": 1})
    assert source.content(space, data) == source.of(space, data).sha256


def test_replaced_images_are_neither_gone_on_with_nor_ranked_again(made):
    (spec,) = plan(read_ablation(FILE, "smoke", sets(made), "1"), ["darts"])
    folder = made / "out" / spec.folder
    assert execute(spec, folder) == "ok"
    assert store.read_result(folder)["contents"].keys() == {"data", "truth", "population"}
    assert reopen(folder)[1].epoch == 1
    campaign = Campaign(made / "out", [spec])
    refuse_others(campaign)
    repaint(made)
    refuse_others(campaign)  # what is done stays done
    (folder / store.RESULT).unlink()
    for again in (lambda: reopen(folder), lambda: refuse_others(campaign)):
        with pytest.raises(ValueError, match="data: the images changed since this run was planned"):
            again()
    assert (folder / store.CHECKPOINT).exists()


def test_a_spec_of_another_version_is_refused_in_a_sentence(made):
    (spec,) = plan(read_ablation(FILE, "smoke", sets(made), "1"), ["darts"])
    folder = made / spec.folder
    folder.mkdir()
    content = spec.model_dump(mode="json") | {"code": 1}
    store.write_json(folder / store.SPEC, store.seal(content))
    with pytest.raises(ValueError, match=r"of another version of bench \(schema 1"):
        store.read_spec(folder)


def test_protocols_are_named_by_the_cells_of_their_file(made):
    def named(path):
        return Protocol(population={"kind": "list", "file": path, "size": None}).digest(truth="x")

    before = named(made / "cells.txt")
    shutil.copy(made / "cells.txt", made / "copy.txt")
    assert named(made / "copy.txt") == before
    cells(made / "cells.txt", 5)
    assert named(made / "cells.txt") != before


@pytest.mark.parametrize("kind", ["evaluation", "tabulation"])
def test_trainings_are_named_by_the_images(made, kind):
    space = {"name": "nb201", "channels": 4, "cells": 1}

    def named(root):
        data = {"name": "image_folder", "root": root}
        if kind == "tabulation":
            return Tabulation.model_validate({"space": space, "data": data}).digest
        found = registry.parse("spaces", space)
        return Evaluation(
            found, found.decode(CELLS[0]), registry.parse("data", data), Recipe(), 0
        ).digest

    before = named(made / "x")
    shutil.copytree(made / "x", made / "y")
    assert named(made / "y") == before
    images(made / "z", seed=1)
    assert named(made / "z") != before
    (made / "y" / "test" / "a" / "0.png").unlink()
    assert named(made / "y") != before


def test_a_digest_of_written_parts_is_that_of_the_whole():
    content = {"b": {"y": [1, 2.5, None], "x": 'ä\n"'}, "a": [], "seed": 3, "ü": {"z": True}}
    parts = {name: identity.written(value) for name, value in content.items()}
    assert identity.digest_of(parts) == identity.digest(content)
    (run,) = specs("search.epochs=1")
    described = {
        name: identity.described(getattr(run, name))
        for name in ("variants", "settings", "contents", "code")
    }
    assert run.digest == identity.digest({**described, "seed": 0})[:16]
    again = run.model_copy(update={"seed": 5})
    assert again.digest == identity.digest({**described, "seed": 5})[:16]
    other = again.model_copy(update={"contents": {"data": "x"}})
    assert other.digest == identity.digest({**described, "contents": {"data": "x"}, "seed": 5})[:16]


def test_the_cost_of_a_variant_is_worked_out_once_for_all_seeds(monkeypatch, capsys, tmp_path):
    from bench.commands import plan as command
    from bench.runs import cost

    counted = []
    own = cost.cost
    monkeypatch.setattr(cost, "cost", lambda *a: counted.append(1) or own(*a))
    file = ROOT / "ablations/skip_dropout.yaml"
    command.plan_command(file, "smoke", tmp_path, "50", as_json=True)
    assert len(counted) <= 5 and '"seed": 49' in capsys.readouterr().out
