"""Kept trainings, their checkpoints and journals that were forged: one line, never a traceback."""

import json
import random
from types import SimpleNamespace

import pytest
import torch

from bench.contracts.truth import TruthError
from bench.files import UnfitFileError
from bench.runs import checkpoint, store
from bench.training.asked import read
from bench.training.tabulate import JOURNAL, Journal, journal_folder
from bench.training.taken import network_of
from bench.training.train import CHECKPOINT, RESULT, evaluate, read_training
from bench.truth import standalone
from tests.runs import forged

pytestmark = pytest.mark.filterwarnings("ignore")
CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
SETS = [
    "data=digits", "data.size=32", "space.channels=2", "space.cells=1", "epochs=2", "batch=16",
    "test=half", "device=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder of `bench evaluate --output`, and what is asked of it."""
    folder = tmp_path_factory.mktemp("trained")
    evaluation = read(CELL, SETS, seed=0)
    evaluate(evaluation, folder)
    return folder, evaluation


@pytest.fixture
def kept(trained):
    """Put back all files of the folder afterwards."""
    before = {path: path.read_bytes() for path in trained[0].iterdir()}
    yield trained
    for path in trained[0].iterdir():
        path.unlink() if path not in before else path.write_bytes(before[path])


def content_of(folder):
    """Return what a training says, without the checksum."""
    content = json.loads((folder / RESULT).read_text())
    del content["checksum"]
    return content


def test_every_field_of_a_forged_training_is_refused_or_works(kept):
    folder, _ = kept
    path, content = folder / RESULT, content_of(folder)
    put = lambda value: path.write_text(forged.text_of(forged.sealed(value)))  # noqa: E731
    put(content)
    network_of(folder)
    draw = random.Random(0)
    named = str(folder)  # the checkpoint is another's where what is asked for is
    refused, wrong = forged.refusals(content, put, lambda: network_of(folder), named, draw, 80)
    assert not wrong, "\n".join(wrong[:20])
    assert refused > 30


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (("space",), forged.GONE, "space: missing"),
        (("space", "name"), "text", "space: unknown space 'text'"),
        (("space", "channels"), "x", "space.channels"),
        (("genotype",), "text", "genotype: "),
        (("genotype",), [1], "genotype"),
        (("data", "name"), 3, "data: "),
        (("recipe", "epochs"), 0, "recipe.epochs"),
        (("recipe", "extra"), 1, "recipe.extra"),
        (("seed",), -1, "seed"),
        (("accuracy",), 1e300, "accuracy"),
        (("accuracy",), True, "accuracy"),
        (("parameters",), -1, "parameters"),
        (("history", 0, "seconds"), forged.GONE, "history[0].seconds: missing"),
    ],
)
def test_a_forged_training_says_file_and_field(kept, at, value, says):
    folder, _ = kept
    content = content_of(folder)
    if at[-1] == "extra":
        content["recipe"]["extra"] = value
    else:
        content = forged.changed(content, at, value)
    (folder / RESULT).write_text(forged.text_of(forged.sealed(content)))
    with pytest.raises(ValueError, match=r"evaluation.json: ") as caught:
        network_of(folder)
    assert f"{folder / RESULT}: {says}" in str(caught.value)


def test_a_training_of_others_downloads_nothing(kept, monkeypatch):
    folder, _ = kept
    content = content_of(folder)
    content["data"] = {"name": "cifar10", "root": str(folder), "download": True}
    (folder / RESULT).write_text(forged.text_of(forged.sealed(content)))
    fetched = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: fetched.append(a))
    with pytest.raises(ValueError, match="cifar10"):
        network_of(folder)
    assert not fetched


def test_a_forged_training_in_the_cache_is_trained_again(kept):
    folder, evaluation = kept
    path, content = folder / RESULT, content_of(folder)
    right = content["accuracy"]
    folder.chmod(0o700)
    assert standalone._kept(folder, evaluation.digest) == right
    draw, believed = random.Random(1), set()
    for _ in range(150):
        at = draw.choice([at for at in forged.few(content) if at])
        changed = forged.changed(content, at, draw.choice(forged.VALUES))
        path.write_text(forged.text_of(forged.sealed(changed)))
        found = standalone._kept(folder, evaluation.digest)
        if at != ("accuracy",):  # a forged accuracy is one: the place is the user's own
            believed.add(found)
    assert believed <= {None, right}
    path.write_text(forged.text_of(forged.sealed({**content, "digest": "0" * 16})))
    assert standalone._kept(folder, evaluation.digest) is None


STATES = {
    "network missing": lambda s: s.pop("network"),
    "network a list": lambda s: s.update(network=[1]),
    "weights of a shape": lambda s: s["network"].update({next(iter(s["network"])): torch.zeros(1)}),
    "weights not finite": lambda s: next(iter(s["network"].values())).fill_(float("nan")),
    "history a text": lambda s: s.update(history="text"),
    "an epoch a text": lambda s: s.update(history=["x", "y"]),
    "an epoch twice": lambda s: s.update(history=[s["history"][0]] * 2),
    "epochs beyond the end": lambda s: s.update(history=s["history"] * 2),
    "seconds missing": lambda s: s["history"][0].pop("seconds"),
    "seconds a list": lambda s: s["history"][0].update(seconds=[1]),
    "another rate": lambda s: s["optimizer"]["param_groups"][0].update(momentum=0.1),
}


@pytest.mark.parametrize("what", STATES)
def test_a_forged_checkpoint_of_a_training_is_set_aside(kept, what, capfd):
    folder, evaluation = kept
    right = content_of(folder)
    state = checkpoint.load(folder / CHECKPOINT, evaluation.digest)
    STATES[what](state)
    checkpoint.save(folder / CHECKPOINT, evaluation.digest, state)
    found = evaluate(evaluation, folder)
    line = capfd.readouterr().err.strip()
    assert f"{folder / CHECKPOINT}: " in line and "starting again" in line and "\n" not in line
    assert found["accuracy"] == right["accuracy"] and (folder / "refused.pt").is_file()


@pytest.mark.parametrize("what", [name for name in STATES if name.startswith("network")])
def test_weights_that_do_not_fit_are_not_taken_away(kept, what):
    folder, evaluation = kept
    state = checkpoint.load(folder / CHECKPOINT, evaluation.digest)
    STATES[what](state)
    checkpoint.save(folder / CHECKPOINT, evaluation.digest, state)
    with pytest.raises(ValueError, match=r"checkpoint.pt: network"):
        network_of(folder)


ROW = {
    "arch": CELL,
    "dataset": "digits",
    "budget": 2,
    "seed": 0,
    "parameters": 0.1,
    "flops": 1.5,
    "train_seconds": 0.3,
    "train_accuracy": 50.0,
    "train_loss": 1.0,
    "valid_accuracy": 40.0,
    "valid_loss": None,
    "test_accuracy": 41.0,
    "test_loss": 1.2,
}


def test_every_field_of_a_forged_journal_is_refused_or_works(tmp_path):
    output, recipe = tmp_path / "t.parquet", SimpleNamespace(digest="x")
    path = journal_folder(output) / JOURNAL
    path.parent.mkdir()

    def put(value):
        path.write_text(f'{{"recipe": "x"}}\n{json.dumps(forged.sealed(value), sort_keys=True)}\n')

    def use():
        import pyarrow as pa

        from bench.tables.long import NUMBERS

        rows = list(Journal(output, recipe).rows.values())
        for name in NUMBERS:  # as the table is written of them
            pa.array([row.get(name) for row in rows], pa.float64(), from_pandas=True)
        pa.array([row["budget"] for row in rows], pa.int32())
        assert all(
            0 <= row.get("test_accuracy", 0) <= 100 for row in rows if row.get("test_accuracy")
        )

    put(ROW)
    use()
    assert Journal(output, recipe).rows[CELL, 0] == ROW
    refused, wrong = forged.refusals(ROW, put, use, f"{path}:2: ", random.Random(0))
    assert not wrong, "\n".join(wrong[:20])
    assert refused > 200


def test_a_journal_names_the_field(tmp_path):
    output, recipe = tmp_path / "t.parquet", SimpleNamespace(digest="x")
    path = journal_folder(output) / JOURNAL
    path.parent.mkdir()
    row = json.dumps(forged.sealed({**ROW, "test_accuracy": 300.0}), sort_keys=True)
    path.write_text(f'{{"recipe": "x"}}\n{row}\n')
    with pytest.raises(TruthError, match=r"trials.jsonl:2: test_accuracy: .*0\.\.100"):
        Journal(output, recipe)


def test_a_training_that_is_sound_is_read_whole(trained):
    folder, evaluation = trained
    told = read_training(folder / RESULT)
    assert told["digest"] == evaluation.digest and len(told["history"]) == 2
    assert read_training(folder / "nothing.json") is None
    with pytest.raises(UnfitFileError, match="accuracy: missing"):
        content = content_of(folder)
        del content["accuracy"]
        store.write_json(folder / "forged.json", store.seal(content))
        read_training(folder / "forged.json")
    (folder / "forged.json").unlink()
