"""Official files, made with the benchmark's own classes, import exactly; traps stay shut."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bench.contracts.truth import TruthError
from bench.truth import _import_worker as worker
from bench.truth import _official_files as files
from bench.truth._official import import_official
from bench.truth.table import Table
from tests.truth import builders

Imported = tuple[Path, dict[str, Any]]


def test_every_trial_equals_what_the_benchmarks_api_says(
    imported: Imported, official_content: dict[str, Any]
) -> None:
    import nas_201_api

    api = nas_201_api.NASBench201API(copy.deepcopy(official_content), verbose=False)
    frame = pd.read_parquet(imported[0])
    assert len(frame) == builders.trials(24)
    for row in frame.to_dict("records"):
        index = api.query_index_by_arch(str(row["arch"]))
        said = api.get_more_info(
            index, row["dataset"], hp=str(row["budget"]), is_random=int(row["seed"])
        )
        assert row["train_accuracy"] == said["train-accuracy"]
        assert row["train_loss"] == said["train-loss"]
        assert row["train_seconds"] == said["train-all-time"]
        assert row["test_accuracy"] == said["test-accuracy"]
        assert row["test_loss"] == said["test-loss"]
        assert row["parameters"] == 1.5 + index / 7 and row["flops"] == 100.25 + index
        if row["dataset"] == "cifar10":
            assert np.isnan(row["valid_accuracy"]) and np.isnan(row["valid_loss"])
        else:
            assert row["valid_accuracy"] == said["valid-accuracy"]
            assert row["valid_loss"] == said["valid-loss"]


def test_missing_seeds_stay_missing(imported: Imported, official_content: dict[str, Any]) -> None:
    names = official_content["meta_archs"]
    truth = Table(path=imported[0]).load()
    assert np.isnan(truth.accuracy[names[2]]).tolist() == [False, True, True]
    assert not np.isnan(truth.accuracy[names[3]]).any()
    said = imported[1]["measured"]["cifar10 200"]
    assert said["trials"] == 70 and said["cells"] == 24
    assert said["cells_by_seeds"] == {"1": 1, "3": 23}


def test_means_equal_the_apis_averages(
    imported: Imported, official_content: dict[str, Any]
) -> None:
    import nas_201_api

    api = nas_201_api.NASBench201API(copy.deepcopy(official_content), verbose=False)
    for dataset, images in (("cifar100", "x-test"), ("cifar10", "ori-test")):
        truth = Table(path=imported[0], dataset=dataset).load()
        for index, name in enumerate(official_content["meta_archs"]):
            results = api.query_meta_info_by_index(index, hp="200")
            average = results.get_metrics(dataset, images)["accuracy"]
            assert truth.mean([name])[0] == pytest.approx(average, rel=1e-12)


def test_says_where_it_is_from(imported: Imported, official_file: Path) -> None:
    truth = Table(path=imported[0]).load()
    digest = imported[1]["sha256"]
    assert digest == files.digest(official_file) and digest[:12] in truth.provenance
    assert "nas-bench-201" in truth.provenance and official_file.name in truth.provenance
    assert str(official_file.parent) not in truth.provenance  # no paths of this machine


def test_the_random_stream_and_the_output_are_left_alone(
    few_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    random.seed(3)
    before = random.getstate()
    worker.convert(few_file, tmp_path / "t.parquet", "x.pth")
    assert random.getstate() == before and capfd.readouterr().out == ""


def test_the_old_torch_format_and_numpy_numbers(few: dict[str, Any], tmp_path: Path) -> None:
    """The real files are of torch 1.x; a numpy integer as seed makes the API itself stumble."""
    content = copy.deepcopy(few)
    state = content["arch2infos"][0]["full"]["all_results"]["cifar10", 777]
    state["eval_acc1es"]["ori-test@199"] = np.float64(91.125)
    state["train_losses"][199] = np.float32(0.25)
    state["seed"] = np.int64(777)
    torch.save(content, tmp_path / "t.pth", _use_new_zipfile_serialization=False)
    worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t.pth")
    truth = Table(path=tmp_path / "t.parquet").load()
    assert truth.accuracy[content["meta_archs"][0]][0] == 91.125
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert 0.25 in set(frame["train_loss"])


def test_costs_that_disagree_are_taken_from_seed_888(few: dict[str, Any], tmp_path: Path) -> None:
    content = copy.deepcopy(few)
    content["arch2infos"][1]["full"]["all_results"]["cifar100", 777]["flop"] = 3.0
    torch.save(content, tmp_path / "t.pth")
    worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t.pth")
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert set(frame.loc[frame["arch"] == content["meta_archs"][1], "flops"]) == {101.25}


def test_nats_bench_file_and_folder_give_the_same(tmp_path: Path) -> None:
    package = pytest.importorskip("nats_bench", reason="needs the optional package nats-bench")
    content = builders.official(package, 3, ("12", "200"))
    whole = builders.write_pbz2(tmp_path / "NATS-tss-v1_0-00000.pickle.pbz2", content)
    folder = tmp_path / "NATS-tss-v1_0-00000-simple"
    folder.mkdir()
    meta = {name: content[name] for name in ("meta_archs", "evaluated_indexes")}
    builders.write_pbz2(folder / "meta.pickle.pbz2", meta)
    for index, info in content["arch2infos"].items():
        builders.write_pbz2(folder / f"{index:06d}.pickle.pbz2", info)
    worker.convert(whole, tmp_path / "whole.parquet", folder.name)
    worker.convert(folder, tmp_path / "folder.parquet", folder.name)
    one, other = (pd.read_parquet(tmp_path / f"{n}.parquet") for n in ("whole", "folder"))
    pd.testing.assert_frame_equal(one, other)
    assert len(one) == builders.trials(3)
    index, dataset = 1, "ImageNet16-120"
    results = package.ArchResults.create_from_state_dict(content["arch2infos"][index]["200"])
    rows = one.query("arch == @content['meta_archs'][@index] and dataset == @dataset")
    for row in rows.query("budget == 200").to_dict("records"):
        said = results.query(dataset, int(row["seed"])).get_eval("x-test")
        assert row["test_accuracy"] == said["accuracy"] and row["test_loss"] == said["loss"]


def _without(name: str) -> Any:
    def change(content: dict[str, Any]) -> Any:
        del content[name]
        return content

    return change


def _state(**changes: Any) -> Any:
    def change(content: dict[str, Any]) -> Any:
        content["arch2infos"][1]["full"].update(changes)
        return content

    return change


def _trial(**changes: Any) -> Any:
    def change(content: dict[str, Any]) -> Any:
        content["arch2infos"][1]["full"]["all_results"]["cifar10", 777].update(changes)
        return content

    return change


def _size(content: dict[str, Any]) -> Any:
    content["meta_archs"] = ["8:8:8:8:8"]
    return content


def _schedule(content: dict[str, Any]) -> Any:
    content["arch2infos"][0]["90"] = content["arch2infos"][0].pop("full")
    return content


def _extra(content: dict[str, Any]) -> Any:
    content["arch2infos"][99] = content["arch2infos"][0]
    return content


SHAPES = {
    "a list": (lambda content: [1, 2], "meta_archs"),
    "no names": (_without("meta_archs"), "meta_archs"),
    "no results": (_without("arch2infos"), "arch2infos"),
    "size space": (_size, "only topology"),
    "unknown schedule": (_schedule, "unknown training schedule '90'"),
    "cell out of range": (_extra, "cell 99"),
    "another cell's name": (_state(arch_str="|none~0|"), "was expected"),
    "unknown data set": (_state(dataset_seed={"mnist": [1]}), "mnist"),
    "a seed without results": (_state(dataset_seed={"cifar10": [5]}), "cell 1"),
    "methods overwritten": (_state(get_dataset_names=None), "cell 1"),
    "results of no dictionary": (_state(all_results=[1]), "cell 1"),
    "a trial of another seed": (_trial(seed=1), "filed under 777"),
    "curves in a list": (_trial(train_acc1es=[1, 2]), "no epochs in list"),
    "accuracy in words": (_trial(eval_acc1es={"ori-test@199": "good"}), "not a number: 'good'"),
    "accuracy above 100": (_trial(eval_acc1es={"ori-test@199": 120.0}), "not a percentage"),
    "times in words": (_trial(train_times={0: "long"}), "cell 1"),
    "no epochs": (_trial(epochs=None), "cell 1"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_files_of_another_shape(name: str, few: dict[str, Any], tmp_path: Path) -> None:
    change, expected = SHAPES[name]
    torch.save(change(copy.deepcopy(few)), tmp_path / "t.pth")
    with pytest.raises(TruthError) as caught:
        worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t.pth")
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("t.pth") or "t.parquet" in str(caught.value)
    assert not (tmp_path / "t.parquet").exists()


def test_what_is_no_official_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("arch,x\n")
    for path, expected in ((tmp_path / "t.csv", "neither"), (tmp_path, "without meta.pickle")):
        with pytest.raises(TruthError, match=expected):
            files.kind(path, str(path))
    with pytest.raises(TruthError, match="no such file"):
        import_official(tmp_path / "x.pth", tmp_path / "t.parquet")
    with pytest.raises(TruthError, match=r"name it .*t\.parquet"):
        import_official(tmp_path / "t.csv", tmp_path / "t.csv")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.truth._official import api

    with pytest.raises(TruthError, match="python -m pip install no-such-package-anywhere"):
        api("no-such-package-anywhere", "json", "x")
