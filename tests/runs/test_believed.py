"""What is kept and believed later says by itself that it was changed; bombs are not unpacked."""

import hashlib
import io
import os
import random
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from bench.contracts.truth import TruthError
from bench.files import UnfitFileError
from bench.ranking.scores import read_table
from bench.runs import checkpoint, store
from bench.training.tabulate import JOURNAL, Journal, journal_folder
from bench.training.train import RESULT
from bench.truth import standalone

TRAINING = {
    "genotype": "g", "space": {"name": "nb201"}, "data": {"name": "digits"}, "recipe": {}, "seed": 0,
    "digest": "d", "accuracy": 10.94, "loss": 2.1, "parameters": 3, "train_images": 1,
    "test_images": 1, "seconds": 0.5, "torch": "2", "device": "cpu",
    "history": [{"epoch": 1, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 9.0, "seconds": 0.5}],
}  # fmt: skip


def test_a_changed_training_is_not_believed(tmp_path):
    tmp_path.chmod(0o700)
    store.write_json(tmp_path / RESULT, store.seal(TRAINING))
    sound = (tmp_path / RESULT).read_bytes()
    assert standalone._kept(tmp_path, "d") == 10.94
    assert standalone._kept(tmp_path, "of another cell") is None
    (tmp_path / RESULT).write_bytes(sound.replace(b"10.94", b"90.94"))
    assert standalone._kept(tmp_path, "d") is None
    draw, believed = random.Random(0), 0
    for _ in range(200):
        changed = bytearray(sound)
        changed[draw.randrange(len(sound))] ^= 1 << draw.randrange(8)
        (tmp_path / RESULT).write_bytes(changed)
        believed += standalone._kept(tmp_path, "d") is not None
    assert believed == 0
    (tmp_path / RESULT).write_bytes(sound)
    tmp_path.chmod(0o777)  # anybody may have put it there
    assert standalone._kept(tmp_path, "d") is None


def test_a_checkpoint_that_unpacks_to_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "me", {"x": torch.zeros(1_000_000)})
    payload = path.read_bytes()[len(checkpoint.MAGIC) + 32 :]
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(payload)) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    content = packed.getvalue()
    assert len(content) < 20_000  # of four million bytes
    path.write_bytes(checkpoint.MAGIC + hashlib.sha256(content).digest() + content)
    with pytest.raises(checkpoint.CheckpointError, match="compressed members"):
        checkpoint.load(path, "me")


def test_bombs_of_scores_are_refused(tmp_path):
    path = tmp_path / "ranking.parquet"
    frame = pd.DataFrame({"arch": ["a", "b"], "accuracy": [1.0, 2.0]})
    frame.to_parquet(path, index=False)
    pd.testing.assert_frame_equal(read_table(path), frame)
    pd.DataFrame({"accuracy": np.zeros(5_000_000)}).to_parquet(path, index=False)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UnfitFileError, match=r"5,000,000 rows"):
        read_table(path)
    frame.to_parquet(path, index=False, compression="zstd")
    with pytest.raises(UnfitFileError, match="compressed in a way"):
        read_table(path)
    path.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(UnfitFileError, match="not a table"):
        read_table(path)


@pytest.mark.parametrize("name", store.FILES)
def test_a_pipe_in_the_place_of_a_file_of_a_run_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnfitFileError, match="a named pipe"):
        store.read_regular(tmp_path / name)


def test_a_changed_line_of_a_journal_is_said(tmp_path):
    recipe = SimpleNamespace(digest="x")
    output = tmp_path / "t.parquet"
    journal_folder(output).mkdir()
    Journal(output, recipe).add(
        {"arch": "a", "seed": 0, "dataset": "d", "budget": 1, "test_accuracy": 10.94}
    )
    path = journal_folder(output) / JOURNAL
    assert Journal(output, recipe).rows["a", 0]["test_accuracy"] == 10.94
    path.write_text(path.read_text().replace("10.94", "90.94"))
    with pytest.raises(TruthError, match=r"trials.jsonl:2: damaged"):
        Journal(output, recipe)
