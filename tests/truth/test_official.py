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
    assert "NAS-Bench-201" in truth.provenance and official_file.name in truth.provenance
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
    state["seed"] = np.int64(777)  # as users who train cells of their own write it
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
    whole = builders.write_pbz2(tmp_path / "whole.pickle.pbz2", content)
    whole = builders.signed(whole, "NATS-tss-v1_0", ".pickle.pbz2")
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
    "results without a seed": (_state(dataset_seed={"cifar10": [777]}), "cell 1"),
    "a seed twice": (_state(dataset_seed={"cifar10": [777, 777]}), "occurs twice"),
    "methods overwritten": (_state(get_dataset_names=None), "cell 1"),
    "results of no dictionary": (_state(all_results=[1]), "cell 1"),
    "results of another cell": (_state(arch_index=0), "results of cell 0"),
    "a trial of another seed": (_trial(seed=1), "filed under 777"),
    "a trial of another seed in words": (_trial(seed="0888"), "seed '0888' filed under 777"),
    "a trial on other images": (_trial(name="cifar100"), "results on 'cifar100'"),
    "a trial of other epochs": (_trial(epochs=12), "epochs is 12"),
    "curves in a list": (_trial(train_acc1es=[1, 2]), "no epochs in list"),
    "accuracy in words": (_trial(eval_acc1es={"ori-test@199": "good"}), "not a number: 'good'"),
    "accuracy above 100": (_trial(eval_acc1es={"ori-test@199": 120.0}), "not a percentage"),
    "negative accuracy": (_trial(train_acc1es={199: -0.5}), "not a percentage"),
    "accuracy true": (_trial(eval_acc1es={"ori-test@199": True}), "not a number: True"),
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
    assert str(caught.value).startswith("t.pth: ")  # the source, not the table to be
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


def test_a_trial_is_named_in_the_error(few: dict[str, Any], tmp_path: Path) -> None:
    torch.save(_trial(train_acc1es={199: 120.0})(copy.deepcopy(few)), tmp_path / "t.pth")
    with pytest.raises(TruthError) as caught:
        worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t.pth")
    expected = "t.pth: cell 1: cifar10 seed 777, 200 epochs: train_acc1es is 120"
    assert str(caught.value).startswith(expected)


# The forms that the authors' scripts write


@pytest.mark.parametrize("old", [False, True], ids=["v1_1", "v1_0"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_both_releases_in_both_of_pytorchs_formats(old: bool, legacy: bool, tmp_path: Path) -> None:
    package = pytest.importorskip("nas_201_api", reason="needs the package nas-bench-201")
    content = builders.official(package, 3, ("less", "full"), old=old)
    torch.save(content, tmp_path / "t", _use_new_zipfile_serialization=not legacy)
    path = builders.signed(tmp_path / "t", f"NAS-Bench-201-v1_{0 if old else 1}", ".pth")
    done = worker.convert(path, tmp_path / "t.parquet", path.name)
    frame = pd.read_parquet(tmp_path / "t.parquet")
    if not old:
        assert done["trials"] == builders.trials(3) and frame["train_seconds"].notna().all()
        return
    few = frame[frame["budget"] == 12]
    assert set(few["dataset"]) == {"cifar10-valid"} and done["trials"] == builders.trials(3) - 9
    late = frame[frame["budget"] == 200]
    assert late["train_seconds"].isna().all() and late["test_accuracy"].notna().all()
    states = content["arch2infos"][1]["full"]["all_results"]
    for (dataset, seed), result in states.items():
        row = late.query("arch == @content['meta_archs'][1]")
        row = row[(row["dataset"] == dataset) & (row["seed"] == seed)].iloc[0]
        images = "ori-test" if dataset.startswith("cifar10") and dataset != "cifar100" else "x-test"
        assert row["test_accuracy"] == result["eval_acc1es"][f"{images}@199"]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("ending", ["FULL", "SIMPLE", "both"])
def test_the_archive_folder(legacy: bool, ending: str, tmp_path: Path) -> None:
    """``NAS-Bench-201-v1_1-archive``: a file per cell, with weights in the FULL ones."""
    package = pytest.importorskip("nas_201_api", reason="needs the package nas-bench-201")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    content = builders.official(package, 3, ("less", "full"))
    full = builders.official(package, 3, ("less", "full"), weights=network.state_dict())
    folder = tmp_path / "NAS-Bench-201-v1_1-archive"
    folder.mkdir()
    for index in range(3):
        for kind, made in (("FULL", full), ("SIMPLE", content)):
            if ending in (kind, "both"):
                torch.save(
                    made["arch2infos"][index],
                    folder / f"{index:06d}-{kind}.pth",
                    _use_new_zipfile_serialization=not legacy,
                )
    done = worker.convert(folder, tmp_path / "folder.parquet", folder.name)
    torch.save(content, tmp_path / "t.pth")
    worker.convert(tmp_path / "t.pth", tmp_path / "whole.parquet", "t.pth")
    one, other = (pd.read_parquet(tmp_path / f"{n}.parquet") for n in ("whole", "folder"))
    pd.testing.assert_frame_equal(one, other)
    assert done["notes"] == ["incomplete: 3 of 15,625 cells; the others have no truth"]
    (folder / "000002-SIMPLE.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(TruthError, match=r"archive/000002-SIMPLE\.pth: damaged"):
        worker.convert(folder, tmp_path / "folder.parquet", folder.name)


REAL = Path("../shared/natsbench/NATS-tss-v1_0-3ffb9-simple")


def test_real_official_files_equal_what_the_authors_api_says(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"the real NATS-Bench files are not at {REAL}")
    package = pytest.importorskip("nats_bench", reason="needs the optional package nats-bench")
    done = import_official(REAL, tmp_path / "t.parquet")
    assert (done["cells"], done["trials"], done["values"]) == (3, 51, 333)
    assert "3 of 15,625" in done["notes"][0]
    api = package.create(str(REAL), "tss", fast_mode=True, verbose=False)
    frame = pd.read_parquet(tmp_path / "t.parquet")
    compared = 0
    for row in frame.to_dict("records"):
        index = api.query_index_by_arch(row["arch"])
        said = api.get_more_info(
            index, row["dataset"], hp=str(row["budget"]), is_random=int(row["seed"])
        )
        for split in ("train", "valid", "test"):
            for quantity in ("accuracy", "loss"):
                value = row[f"{split}_{quantity}"]
                if not np.isnan(value):
                    assert value == said[f"{split}-{quantity}"]
                    compared += 1
        assert row["train_seconds"] == said["train-all-time"]
        compared += 1
    assert compared == 333
    truth = Table(path=tmp_path / "t.parquet").load()
    assert [round(float(v), 6) for v in truth.mean(api.meta_archs[:1])] == [85.863333]


# Damage


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("form", ["legacy", "zip", "bz2"])
def test_no_flipped_bit_imports(
    form: str, seed: int, few: dict[str, Any], few_file: Path, tmp_path: Path
) -> None:
    """The old format has no checksum of its own: the digits of the name are one."""
    if form == "bz2":
        package = pytest.importorskip("nats_bench", reason="needs the optional package nats-bench")
        content = builders.official(package, 1, ("12", "200"))
        path = builders.write_pbz2(tmp_path / "t", content)
        path = builders.signed(path, "NATS-tss-v1_0", ".pickle.pbz2")
    elif form == "legacy":
        torch.save(few, tmp_path / "t", _use_new_zipfile_serialization=False)
        path = builders.signed(tmp_path / "t", "NAS-Bench-201-v1_0", ".pth")
    else:
        path = tmp_path / few_file.name
        path.write_bytes(few_file.read_bytes())
    good = bytearray(path.read_bytes())
    bit = int(np.random.default_rng(seed).integers(8 * len(good)))
    good[bit // 8] ^= 1 << bit % 8
    path.write_bytes(good)
    with pytest.raises(TruthError) as caught:
        worker.convert(path, tmp_path / "t.parquet", str(path))
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
