"""Official files as an attacker writes them: every field of every type, in every container.

Nothing may be run, opened or waited for; what comes out is a table or one line of refusal.
"""

from __future__ import annotations

import bz2
import copy
import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.contracts.truth import TruthError
from bench.truth import _import_worker as worker
from bench.truth import _plain as plain
from bench.truth._official import import_official
from tests.truth import builders


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """One cell with two trials per schedule; treat as read-only."""
    package = pytest.importorskip("nas_201_api", reason="needs the package nas-bench-201")
    content = builders.official(package, 1, ("less", "full"))
    for state in content["arch2infos"][0].values():
        kept = dict(list(state["all_results"].items())[:2])
        state["all_results"] = kept
        state["dataset_seed"] = {}
        for dataset, seed in kept:
            state["dataset_seed"].setdefault(dataset, []).append(seed)
    return content


def whole_pbz2(content: Any, folder: Path) -> Path:
    return builders.write_pbz2(folder / "t.pickle.pbz2", content)


def zipped(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "t.pth")
    return folder / "t.pth"


def legacy(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "l.pth", _use_new_zipfile_serialization=False)
    return folder / "l.pth"


def simple_folder(content: Any, folder: Path) -> Path:
    path = folder / "NATS-tss-v1_0-3ffb9-simple"
    path.mkdir()
    meta = {**content, "arch2infos": None} if type(content) is dict else content
    builders.write_pbz2(path / "meta.pickle.pbz2", meta)
    builders.write_pbz2(path / "000000.pickle.pbz2", content["arch2infos"][0])
    return path


def archive(content: Any, folder: Path) -> Path:
    path = folder / "NAS-Bench-201-v1_1-archive"
    path.mkdir()
    torch.save(content["arch2infos"][0], path / "000000-FULL.pth")
    return path


FORMS: dict[str, Callable[[Any, Path], Path]] = {
    "zip": zipped,
    "legacy": legacy,
    "pbz2": whole_pbz2,
    "folder": simple_folder,
    "archive": archive,
}


# A string where results are expected: the benchmark's packages open it as a file and run it


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pickle under every name that a package might open, which writes a canary when loaded."""
    canary = tmp_path / "canary"
    monkeypatch.chdir(tmp_path)
    code = f"cos\nsystem\n(S'touch {canary}'\ntR."
    pickle.loads(code.encode())
    assert canary.exists()  # it would
    canary.unlink()
    for name in ("w.pth", "NAME"):
        Path(name).write_bytes(code.encode())
    Path("NAME.pbz2").write_bytes(bz2.compress(code.encode()))
    return canary


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["schedule", "trial", "all trials", "cell"])
@pytest.mark.parametrize("name", ["NAME", "w.pth"])
def test_a_string_for_results_is_not_opened(
    form: str, where: str, name: str, small: dict[str, Any], trap: Path, tmp_path: Path
) -> None:
    content = copy.deepcopy(small)
    cell = content["arch2infos"][0]
    if where == "schedule":
        cell["full"] = name
    elif where == "cell":
        content["arch2infos"][0] = name
    elif where == "all trials":
        cell["full"]["all_results"] = name
    else:
        first = next(iter(cell["full"]["all_results"]))
        cell["full"]["all_results"][first] = name
    path = FORMS[form](content, tmp_path)
    with pytest.raises(TruthError, match=rf"cell 0.*'{name}'"):
        worker.convert(path, tmp_path / "t.parquet", str(path))
    assert not trap.exists()


# Every field of every type


def values() -> dict[str, Any]:
    """Name → a value that no field should have, or not this one."""
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    laughs: Any = ("ha",) * 2
    for _ in range(60):
        laughs = [laughs, laughs]  # 2^60 when shown
    return {
        "none": None,
        "path": "NAME",
        "surrogate": "\ud800\n\x1b[31m",
        "huge": 1 << 20_000,
        "beyond 64 bits": 1 << 70,
        "negative": -1,
        "true": True,
        "nan": float("nan"),
        "infinity": float("inf"),
        "huge number": 1e308,
        "bytes": b"NAME",
        "list": ["NAME"],
        "tuple": ("cifar10", 777),
        "set": {1},
        "dict": {"a": 1},
        "empty": {},
        "deep": deep,
        "laughs": laughs,
        "tensor": torch.zeros(2),
    }


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every field, of curves the last epoch only."""
    items: Any = ()
    if isinstance(content, dict):
        items = list(content.items())
        if len(items) >= 12 and "epochs" not in content:  # a curve
            items = items[-1:]
    elif isinstance(content, list):
        items = list(enumerate(content))
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def put(content: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


@pytest.mark.parametrize("kind", values())
def test_every_field_of_every_type(
    kind: str, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong field is a line that begins with the file, or is not used and changes nothing."""
    monkeypatch.setattr(worker.long, "write", lambda *_: None)  # what is read, not how it is kept
    monkeypatch.setattr(worker.published, "notes", lambda *_: [])
    value = values()[kind]
    refused = 0
    good = {**small, "arch2infos": {0: {"less": small["arch2infos"][0]["less"]}}}
    stored = pickle.dumps(good)
    for place in places(good):
        content = pickle.loads(stored)
        put(content, place, value)
        if kind == "tensor":
            path = zipped(content, tmp_path)
        else:
            path = tmp_path / "t.pickle.pbz2"
            path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4), 1))
        try:
            done = worker.convert(path, tmp_path / "t.parquet", "t")
        except TruthError as error:
            refused += 1
            said = str(error)
            assert said.startswith("t: ") and "\n" not in said and "\x1b" not in said
            assert len(said) < 400
            said.encode()  # no lone surrogates
        else:
            unused = {"total_archs", "evaluated_indexes", "clear_net_done", "net_state_dict"}
            unused |= {"arch_config", "latency", "eval_names", "eval_times", "train_acc5es"}
            number = kind in ("negative", "huge number", "infinity", "nan", "none")
            # Curves that lack the last epoch are such whose networks were not evaluated then.
            lacking = kind in ("dict", "empty") and str(place[-1]).endswith(("es", "times"))
            assert unused & set(map(str, place)) or number or lacking, place
            assert done["trials"] == 2 and done["values"] in range(11, 15)
    assert refused > 10


@pytest.mark.parametrize("kind", values())
def test_every_key_of_every_type(kind: str, small: dict[str, Any], tmp_path: Path) -> None:
    value = values()[kind]
    try:
        hash(value)
    except TypeError:
        pytest.skip("cannot be a key")
    for where in (
        ("arch2infos",),
        ("arch2infos", 0),
        ("arch2infos", 0, "full"),
        ("arch2infos", 0, "full", "all_results"),
        ("arch2infos", 0, "full", "dataset_seed"),
    ):
        content = copy.deepcopy(small)
        inner: Any = content
        for key in where:
            inner = inner[key]
        inner[value] = copy.deepcopy(next(iter(inner.values())))
        path = zipped(content, tmp_path)
        with pytest.raises(TruthError) as caught:
            worker.convert(path, tmp_path / "t.parquet", "t")
        assert str(caught.value).startswith("t: ") and "\n" not in str(caught.value)


# Pickles that change what they are given


def body(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


@pytest.mark.parametrize("module, name", plain.TORCH)
@pytest.mark.parametrize(
    "attribute",
    ["__class__", "__call__", "__code__", "__defaults__", "__dict__", "__setstate__", "get", "x"],
)
def test_what_a_pickle_may_name_cannot_be_changed(module: str, name: str, attribute: str) -> None:
    thing = f"c{module}\n{name}\n".encode()
    for state in (
        b"}" + text(attribute) + b"I1\ns",  # into __dict__
        b"N}" + text(attribute) + b"I1\ns\x86",  # by setattr
    ):
        content = body(thing, state, b"b")
        with pytest.raises(TruthError):
            plain.load_torch(io.BytesIO(content), "t")
    for made in (b"cnumpy\ndtype\n(X\x02\0\0\0f8tR", b"ccollections\nOrderedDict\n)R"):
        content = body(made, b"N}" + text(attribute) + b"I1\ns\x86", b"b")
        try:
            got = plain.load_torch(io.BytesIO(content), "t")
        except TruthError:
            continue
        assert type(got) is plain.Mapping and not hasattr(got, "x") and callable(got.get)


def test_instances_of_what_may_be_named_cannot_be_made() -> None:
    for module, name in plain.TORCH:
        thing = f"c{module}\n{name}\n".encode()
        with pytest.raises(TruthError):  # NEWOBJ wants a class
            plain.load_torch(io.BytesIO(body(thing, b")\x81")), "t")


@pytest.mark.parametrize("pid", [b"N", text("NAME"), b"(" + text("module") + text("x") + b"t"])
def test_persistent_ids_that_are_no_storages(pid: bytes) -> None:
    with pytest.raises(TruthError):
        plain.load_torch(io.BytesIO(body(pid, b"Q")), "t")


# Bombs


def bomb(path: Path, content: bytes, packed: bool = True) -> Path:
    path.write_bytes(bz2.compress(content) if packed else content)
    return path


def test_what_unpacks_to_a_thousandfold_is_refused(tmp_path: Path) -> None:
    path = bomb(
        tmp_path / "t.pbz2",
        b"\x80\x04\x8d" + struct.pack("<Q", 30 << 20) + b"x" * (30 << 20) + b".",
    )
    assert path.stat().st_size < 10_000
    with pytest.raises(TruthError, match="unpacks to more than"):
        import_official(path, tmp_path / "t.parquet")


BOMBS = {
    "a long memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "a long string": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "a long integer": b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"x.",
    "many dicts": b"\x80\x04(" + b"}" * (14 << 20) + b"t.",
    "a key of 2^60 tuples": b"\x80\x04}X\x01\0\0\0x" + b"2\x86" * 60 + b"Ns.",
}


@pytest.mark.stress
@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("form", ["bz2", "legacy", "zip"])
def test_bombs(kind: str, form: str, tmp_path: Path) -> None:
    """Memory and time are bounded by the size of the file, whatever it asks for."""
    import resource

    content = BOMBS[kind]
    if form == "legacy":
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        parts = (0x1950A86A20F9469CFC6C, 1001, system)
        content = b"".join(pickle.dumps(part, protocol=2) for part in parts) + content
    path = bomb(tmp_path / "t", content, packed=form == "bz2")
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
            file.writestr("t/data.pkl", content)
    with pytest.raises(TruthError) as caught:
        import_official(path, tmp_path / "t.parquet")
    assert "\n" not in str(caught.value)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert used < 2_500_000, f"{used:,} kB"


def test_a_packed_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("t/data.pkl", b"\x80\x02" + b"]0" * 10_000 + b"N.")
    with pytest.raises(TruthError, match="packed archive"):
        worker.convert(tmp_path / "t.pth", tmp_path / "t.parquet", "t")


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "t.pth")
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    (folder / "meta.pickle.pbz2").symlink_to("/dev/zero")
    inside = tmp_path / "NAS-Bench-201-v1_1-archive"
    inside.mkdir()
    os.mkfifo(inside / "000000-FULL.pth")
    for path in (tmp_path / "t.pth", folder, inside):
        with pytest.raises(TruthError, match=r"not a file|without meta"):
            import_official(path, tmp_path / "t.parquet")


def test_what_is_no_cell_is_named_where_it_stands(small: dict[str, Any], tmp_path: Path) -> None:
    content, bad = copy.deepcopy(small), "|bogus~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    content["meta_archs"][0] = bad
    for state in content["arch2infos"][0].values():
        state["arch_str"] = bad
    path = whole_pbz2(content, tmp_path)
    with pytest.raises(TruthError, match=r"t\.pickle\.pbz2: cell 0: unknown operation 'bogus'"):
        worker.convert(path, tmp_path / "o.parquet", str(path))
