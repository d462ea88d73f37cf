"""Damaged, foreign and hostile artefacts: every one is detected, none is used, nothing runs."""

import builtins
import functools
import hashlib
import io
import json
import os
import pickle
import random
import subprocess
import zipfile

import pandas as pd
import pytest
import torch

from bench.executors.inline import Inline
from bench.runs import checkpoint, index, store
from bench.runs.campaign import Campaign
from bench.runs.run import execute
from tests.executors.common import listing, numbers, same_bits, specs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished run: its specification and folder."""
    (run,) = specs()
    folder = tmp_path_factory.mktemp("finished") / run.folder
    assert execute(run, folder) == "ok"
    return run, folder


def damaged(content, draw):
    """Return the content cut short, or with a bit changed."""
    at = draw.randrange(len(content))
    if draw.random() < 0.3:
        return content[:at]
    changed = bytearray(content)
    changed[at] ^= 1 << draw.randrange(8)
    return bytes(changed)


def use(run, folder, name):
    """Use an artefact as the program does; say whether it was believed."""
    if name == store.RESULT:
        return store.read_result(folder) is not None
    if name == store.RANKING:
        # By the hash in the result: the run is not done, and is ranked again.
        return store.done(folder)
    if name == store.SPEC:
        try:
            return store.read_spec(folder) is not None
        except ValueError as error:
            assert "\n" not in str(error)
            return False
    try:
        return checkpoint.load(folder / name, run.digest) is not None
    except checkpoint.CheckpointError as error:
        assert "\n" not in str(error)
        return False


@pytest.mark.parametrize("name", [store.RESULT, store.RANKING, store.SPEC, store.CHECKPOINT])
def test_500_damaged_artefacts_are_all_detected(finished, name):
    run, folder = finished
    sound, draw = (folder / name).read_bytes(), random.Random(name)
    assert use(run, folder, name)
    believed = 0
    for _ in range(125):
        (folder / name).write_bytes(damaged(sound, draw))
        believed += use(run, folder, name)
    (folder / name).write_bytes(sound)
    assert use(run, folder, name)
    print(f"\n{name}: 125 damaged, {believed} believed")
    assert believed == 0


def test_a_damaged_index_is_rebuilt(finished):
    _, folder = finished
    expected = listing(folder.parent)
    cache = folder.parent / index.CACHE
    sound, draw = cache.read_bytes(), random.Random(0)
    for _ in range(50):
        cache.write_bytes(damaged(sound, draw))
        pd.testing.assert_frame_equal(listing(folder.parent), expected)


def test_what_is_damaged_is_made_again_and_the_same(finished, tmp_path):
    run, folder = finished
    for name in (store.RESULT, store.RANKING, store.CHECKPOINT, store.SPEC):
        root = tmp_path / name
        copy = root / run.folder
        copy.mkdir(parents=True)
        for path in folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 8
        (copy / name).write_bytes(bytes(content))
        if name == store.CHECKPOINT:  # not looked at while the result is there
            (copy / store.RESULT).unlink()
        campaign = Campaign(root, [run])
        campaign.run(Inline(), interval=0.01)
        assert len(campaign.cached) == (name == store.SPEC), name
        assert numbers(copy) == numbers(folder)
        if name != store.SPEC:
            same_bits(copy, folder)


def test_a_result_of_another_run_is_not_believed(finished, tmp_path):
    run, folder = finished
    other = tmp_path / run.folder.replace(run.digest, "0" * 16)
    other.mkdir()
    for name in (store.RESULT, store.RANKING, store.SPEC):
        (other / name).write_bytes((folder / name).read_bytes())
    assert store.read_result(other) is None
    with pytest.raises(ValueError, match="belongs to"):
        store.read_spec(other)


# --- hostile ---------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Sets:
    """Pickles with a state that is set by calling something."""

    def __init__(self, function, state):
        self.function, self.state = function, state

    def __reduce__(self):
        return dict, (), self.state, None, None, self.function


class GetAttr:
    """Pickles as a chain of getattr."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return builtins.exec, (f"open({str(self.canary)!r}, 'w')",)


def payloads(canary):
    """Yield objects that make a file when they are unpickled by somebody careless."""
    path = str(canary)
    code = f"open({path!r}, 'w').close()"
    yield from (
        Calls(os.system, f"touch {path}"),
        Calls(os.popen, f"touch {path}"),
        Calls(subprocess.call, ["touch", path]),
        Calls(subprocess.Popen, ["touch", path]),
        Calls(subprocess.check_output, ["touch", path]),
        Calls(eval, code),
        Calls(exec, code),
        Calls(open, path, "w"),
        Calls(io.open, path, "w"),
        Calls(os.mkdir, path),
        Calls(os.symlink, "/", path),
        Calls(os.open, path, os.O_CREAT),
        Calls(functools.partial, os.system, f"touch {path}"),
        Calls(map, os.mkdir, [path]),
        Calls(torch.save, 1, path),
        Calls(torch.hub.download_url_to_file, "file:///etc/hostname", path),
        Calls(pickle.loads, pickle.dumps(Calls(os.mkdir, path))),
        Calls(__import__, "antigravity"),
        Sets(os.system, f"touch {path}"),
        GetAttr(canary),
    )


def wrapped(evil):
    """Yield a payload in the places of a checkpoint in which one may hide."""
    yield {"identity": "me", "state": {"supernet": evil}}
    yield {"identity": evil, "state": {}}
    yield evil


def files(canary):
    """Yield (name, bytes) of 50 hostile checkpoints and more."""
    for number, evil in enumerate(payloads(canary)):
        for place, content in enumerate(wrapped(evil)):
            buffer = io.BytesIO()
            torch.save(content, buffer)
            yield f"payload {number}, place {place}", sealed(buffer.getvalue())
    evil = Calls(os.mkdir, str(canary))
    old = io.BytesIO()
    torch.save({"identity": "me", "state": {"x": evil}}, old, _use_new_zipfile_serialization=False)
    yield "the old format", sealed(old.getvalue())
    for protocol in range(6):
        yield f"a bare pickle {protocol}", sealed(pickle.dumps(evil, protocol))
        yield f"a bare pickle {protocol}, unsealed", pickle.dumps(evil, protocol)
    yield "opcodes", sealed(b"cos\nmkdir\n(S'" + str(canary).encode() + b"'\ntR.")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(evil))
        file.writestr("archive/../../escape", "x")
    yield "a zip with a pickle", sealed(archive.getvalue())
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Identity()), script)
    yield "torchscript", sealed(script.getvalue())


def sealed(payload):
    """Frame a payload as `checkpoint.save` does, so that its checksum is right."""
    return checkpoint.MAGIC + hashlib.sha256(payload).digest() + payload


@pytest.mark.filterwarnings("ignore")
def test_50_hostile_checkpoints_execute_nothing(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "checkpoint.pt"
    count = 0
    for name, content in files(canary):
        path.write_bytes(content)
        with pytest.raises(checkpoint.CheckpointError) as caught:
            checkpoint.load(path, "me")
        assert "\n" not in str(caught.value)
        assert not os.path.lexists(canary), name
        count += 1
    print(f"\nhostile: {count} checkpoints, nothing executed")
    assert count >= 50


def test_a_run_with_a_hostile_checkpoint_starts_again(finished, tmp_path):
    run, folder = finished
    canary = tmp_path / "canary"
    copy = tmp_path / run.folder
    copy.mkdir()
    payload = io.BytesIO()
    torch.save(
        {"identity": run.digest, "state": {"supernet": Calls(os.mkdir, str(canary))}}, payload
    )
    (copy / store.CHECKPOINT).write_bytes(sealed(payload.getvalue()))
    assert execute(run, copy) == "ok" and not canary.exists()
    same_bits(copy, folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        '"x"',
        "{}",
        "{" * 100_000,
        "[" * 100_000,
        '{"status": "ok"}',
        "NaN",
        '{"checksum": null}',
        '{"checksum": "x", "status": "ok"}',
        "\ufeff{}",
        '{"a": 1e999}',
        '{"status": "ok", "status": "ok"}',
        '{"files": {"../../etc/passwd": "x"}}',
    ],
)
def test_json_that_is_no_result_is_none(tmp_path, text):
    for name in (store.RESULT, store.PROGRESS, store.SPEC, index.CACHE, "slurm.json"):
        (tmp_path / name).write_text(text)
    assert store.read_result(tmp_path) is None and not store.done(tmp_path)
    assert isinstance(store.read_progress(tmp_path), dict)
    with pytest.raises(ValueError, match="missing or damaged"):
        store.read_spec(tmp_path)
    assert listing(tmp_path).empty


def test_a_sealed_result_cannot_name_files_elsewhere(tmp_path):
    (tmp_path / "elsewhere").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    run = tmp_path / "run"
    for name in ("../elsewhere", str(tmp_path / "elsewhere")):
        store.write_json(run / store.RESULT, store.seal({"status": "ok", "files": {name: digest}}))
        assert json.loads((run / store.RESULT).read_text())["status"] == "ok"
        assert store.read_result(run) is None
