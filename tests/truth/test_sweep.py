"""Files larger than memory: what is let go while one is read changes nothing that is imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from bench.truth import _import_worker as worker
from bench.truth import _official_files as files
from bench.truth import _sweep as sweep
from tests.truth import builders


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sweep every 300 kB; returns how many entries each sweep kept, of how many."""
    counts: list[int] = []
    kept = sweep._kept

    def counted(memo: dict[int, Any]) -> dict[int, Any]:
        found = kept(memo)
        counts.extend((len(found), len(memo)))
        return found

    monkeypatch.setattr(sweep, "STEP", 300_000)
    monkeypatch.setattr(sweep, "RECENT", 8_000)
    monkeypatch.setattr(sweep, "_kept", counted)
    return counts


@pytest.mark.parametrize("form", ["zip", "legacy", "bz2"])
def test_swept_or_not_the_table_is_the_same(
    form: str, official_content: dict[str, Any], imported: Any, often: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "t"
    if form == "bz2":
        infos = {
            i: {"12": info["less"], "200": info["full"]}
            for i, info in official_content["arch2infos"].items()
        }
        builders.write_pbz2(path, {**official_content, "arch2infos": infos})
    else:
        torch.save(official_content, path, _use_new_zipfile_serialization=form == "zip")
    worker.convert(path, tmp_path / "t.parquet", "t")
    assert len(often) > 6 and max(often) < 30_000  # of more than 100,000 in the file
    keys = ["arch", "dataset", "budget", "seed"]
    one, other = (
        pd.read_parquet(p).sort_values(keys, ignore_index=True)
        for p in (imported[0], tmp_path / "t.parquet")
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_file_whose_cells_share_their_epochs_names_is_read_whole(
    official_content: dict[str, Any], imported: Any, often: list[int], tmp_path: Path
) -> None:
    import copy

    content = copy.deepcopy(official_content)
    for info in content["arch2infos"].values():
        for state in info.values():
            for result in state["all_results"].values():
                for field in ("eval_acc1es", "eval_losses", "eval_times"):
                    result[field] = {sys.intern(k): v for k, v in result[field].items()}
    torch.save(content, tmp_path / "t.pth")
    passes = []
    worker_reading = files.load_pth

    def read(*given: Any) -> Any:
        passes.append(given)
        return worker_reading(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "load_pth", read)
        worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t")
    assert len(passes) == 2
    one, other = (pd.read_parquet(p) for p in (imported[0], tmp_path / "t.parquet"))
    pd.testing.assert_frame_equal(one, other)
