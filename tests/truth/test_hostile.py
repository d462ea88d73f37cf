"""Hostile, corrupted and truncated files: refused with one line, and nothing of them is run."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bench.contracts.truth import TruthError
from bench.truth import _official_files as files
from bench.truth._official import import_official
from bench.truth.analog import Analog
from bench.truth.table import Table
from tests.truth import builders


def one_line(act: Callable[[], object]) -> str:
    with pytest.raises(TruthError) as caught:
        act()
    text = str(caught.value)
    assert text and "\n" not in text and len(text) < 900
    return text


# Hostile pickles, written opcode by opcode so that nothing is run in making them


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def attribute(thing: bytes, key: str) -> bytes:
    return call(name("builtins", "getattr"), thing, text(key))


def payloads(canary: str) -> dict[str, bytes]:
    """Name → body of a pickle (protocol 2) that would write the canary when run."""
    shell = text(f"touch {canary}")
    python = text(f"open({canary!r}, 'w').close()")
    path = text(canary)
    touch = call(name("os", "system"), shell)
    imported = call(name("builtins", "__import__"), text("os"))
    builtins = attribute(name("os", "system"), "__self__")
    inner = text("cos\nsystem\n(S'touch " + canary + "'\ntR.")
    run = call(name("subprocess", "run"), b"(" + text("touch") + path + b"t")
    return {
        "os.system": touch,
        "posix.system": call(name("posix", "system"), shell),
        "nt.system": call(name("nt", "system"), shell),
        "os.popen": call(name("os", "popen"), shell),
        "os.mkdir": call(name("os", "mkdir"), path),
        "subprocess.run": run,
        "subprocess.getoutput": call(name("subprocess", "getoutput"), shell),
        "eval": call(name("builtins", "eval"), python),
        "exec": call(name("builtins", "exec"), python),
        "__builtin__.eval": call(name("__builtin__", "eval"), python),
        "open": call(name("builtins", "open"), path, text("w")),
        "io.open": call(name("io", "open"), path, text("w")),
        "Path.touch": call(name("pathlib", "Path.touch"), call(name("pathlib", "Path"), path)),
        "getattr of an import": call(attribute(imported, "system"), shell),
        "importlib": call(
            attribute(call(name("importlib", "import_module"), text("os")), "system"), shell
        ),
        "through __self__": call(attribute(builtins, "popen"), shell),
        "an allowed module's import": call(name("analognasbench.data", "os.system"), shell),
        "an allowed class's globals": attribute(
            name("analognasbench.data", "Architecture.__init__"), "__globals__"
        )
        + touch,
        "nested pickle": call(
            name("pickle", "loads"), call(name("_codecs", "encode"), inner, text("latin1"))
        ),
        "nested reduces": call(
            name("builtins", "list"),
            call(name("builtins", "map"), name("os", "system"), b"(" + shell + b"l"),
        ),
        "in a dictionary's key": b"}" + touch + b"K\x01s",
        "in a tuple in a list": b"]" + touch + b"\x85a",
        "instance opcode": b"(" + shell + b"ios\nsystem\n",
        "object opcode": b"(" + name("os", "system") + shell + b"o",
        "new-object opcode": name("subprocess", "Popen")
        + b"("
        + text("touch " + canary)
        + b"t\x81",
        "state setter": name("analognasbench.data", "Architecture")
        + b")\x81}"
        + text("__setstate__")
        + name("os", "system")
        + b"sb"
        + shell
        + b"b",
        "class attribute": name("analognasbench.data", "Architecture")
        + b"N}"
        + text("__reduce__")
        + name("os", "system")
        + b"s\x86b",
        "partial": call(call(name("functools", "partial"), name("os", "system"), shell)),
        "operator": call(
            call(name("operator", "methodcaller"), text("system"), shell),
            call(name("importlib", "import_module"), text("os")),
        ),
        "runpy": call(name("runpy", "run_path"), path),
        "code": call(attribute(call(name("code", "InteractiveInterpreter")), "runcode"), python),
        "ctypes": call(attribute(call(name("ctypes", "CDLL"), b"N"), "system"), shell),
        "numpy's test hook": call(name("numpy.testing._private.utils", "runstring"), python, b"}"),
        "torch.load": call(name("torch", "load"), path),
        "torch hub": call(name("torch.hub", "load"), path, text("m"), text("local")),
        "copyreg": call(
            name("copyreg", "_reconstructor"), name("subprocess", "Popen"), shell, b"N"
        ),
        "webbrowser": call(name("webbrowser", "open"), path),
        "persistent id": text("os.system") + b"Q" + touch,
        "extension registry": b"\x82\x01" + shell + b"\x85R",
        "stack global": text("os") + text("system") + b"\x93" + shell + b"\x85R",
        "after a good table": b"}" + b"0" + touch,
    }


PAYLOADS = sorted(payloads("x"))
RUN_BY_PICKLE = (
    *("os.system", "posix.system", "subprocess.run", "eval", "exec", "open", "operator", "partial"),
    *("nested pickle", "nested reduces", "instance opcode", "object opcode", "stack global"),
    *("getattr of an import", "in a dictionary's key"),
)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def body(payload: str, canary: Path) -> bytes:
    return b"\x80\x02" + payloads(str(canary))[payload] + b"."


@pytest.mark.parametrize("payload", RUN_BY_PICKLE)
def test_the_payloads_are_real(payload: str, canary: Path) -> None:
    """With Python's own unpickler they do write the canary: the tests below mean something."""
    with open(canary.with_suffix(".p"), "wb") as file:
        file.write(body(payload, canary))
    pickle.loads(body(payload, canary))
    assert canary.exists()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_files_run_nothing(payload: str, canary: Path, tmp_path: Path) -> None:
    content = body(payload, canary)
    anb, pth, zipped, pbz2 = (tmp_path / f"t.{end}" for end in ("anb", "pth", "zip.pth", "pbz2"))
    anb.write_bytes(content)
    # As the old torch format: magic number, protocol, system, then the object.
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (0x1950A86A20F9469CFC6C, 1001, system)
    pth.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts) + content)
    torch.save({"meta_archs": []}, zipped)
    _replace_member(zipped, "data.pkl", content)
    pbz2.write_bytes(bz2.compress(content))
    assert "anb" in one_line(Analog(path=anb).load)
    for act in (
        lambda: Table(path=anb).load(),
        lambda: files.blocks(anb, "t"),
        lambda: files.blocks(pth, "t"),
        lambda: files.blocks(zipped, "t"),
        lambda: files.blocks(pbz2, "t"),
    ):
        said = one_line(act)
        assert "weights_only" not in said and "add_safe_globals" not in said
    assert not canary.exists()


def _replace_member(path: Path, ending: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as file:
        members = [(info.filename, file.read(info)) for info in file.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for filename, data in members:
            file.writestr(filename, content if filename.endswith(ending) else data)


def test_hostile_files_through_the_whole_import(canary: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.pbz2"
    path.write_bytes(bz2.compress(body("os.system", canary)))
    said = one_line(lambda: import_official(path, tmp_path / "t.parquet"))
    assert "'os'.'system'" in said and "nothing of it was run" in said
    assert not canary.exists() and not (tmp_path / "t.parquet").exists()


def test_the_refusal_names_what_was_asked_for(canary: Path, tmp_path: Path) -> None:
    path = tmp_path / "data.anb"
    path.write_bytes(body("eval", canary))
    assert "'builtins'.'eval', which is not on the allow-list" in one_line(Analog(path=path).load)


# Truncated and corrupted


@pytest.fixture(scope="module")
def samples(
    synthetic: Path, few_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """Kind → bytes of a good file and how it is read."""
    folder = tmp_path_factory.mktemp("samples")
    cells = builders.some_cells(300)
    table = {name: builders.everything()[name] for name in cells}
    frame = pd.DataFrame({"arch": cells, "cifar10_test_200": table.values()})
    frame.to_parquet(folder / "wide.parquet")
    content = {"meta_archs": cells, "arch2infos": {0: {}}, "evaluated_indexes": {0}}
    builders.write_pbz2(folder / "t.pbz2", content)
    torch.save(content, folder / "old.pth", _use_new_zipfile_serialization=False)

    def read_table(path: Path) -> object:
        return Table(path=path).load()

    def read_official(path: Path) -> object:
        return list(files.blocks(path, path.name)[1])

    return {
        "csv.gz": (synthetic.read_bytes(), read_table),
        "parquet": ((folder / "wide.parquet").read_bytes(), read_table),
        "anb": (builders.analog_pickle(table), lambda path: Analog(path=path).load()),
        "pbz2": ((folder / "t.pbz2").read_bytes(), read_official),
        "pth": (few_file.read_bytes(), read_official),
        "old.pth": ((folder / "old.pth").read_bytes(), read_official),
    }


KINDS = ("csv.gz", "parquet", "anb", "pbz2", "pth", "old.pth")
SHARES = (0.0, 0.001, 0.2, 0.5, 0.9, 0.999)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_truncated(kind: str, share: float, samples: Any, tmp_path: Path) -> None:
    good, read = samples[kind]
    path = tmp_path / f"t.{kind}"
    path.write_bytes(good)
    read(path)
    path.write_bytes(good[: min(int(len(good) * share), len(good) - 40)])
    one_line(lambda: read(path))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ("csv.gz", "pbz2", "pth"))
def test_corrupted(kind: str, seed: int, samples: Any, tmp_path: Path) -> None:
    """Formats with a checksum: any changed byte of the payload is noticed."""
    good, read = samples[kind]
    position = int(np.random.default_rng(seed).integers(100, len(good) * 9 // 10))
    path = tmp_path / f"t.{kind}"
    path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
    one_line(lambda: read(path))


@pytest.mark.parametrize("seed", range(6))
def test_corrupted_import(seed: int, imported: Any, tmp_path: Path) -> None:
    """What `bench truth import` writes has checksums in its pages."""
    good = imported[0].read_bytes()
    position = int(np.random.default_rng(seed).integers(100, len(good) // 2))
    path = tmp_path / "t.parquet"
    path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
    one_line(lambda: Table(path=path).load())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ("anb", "old.pth", "parquet"))
def test_noise_never_escapes_as_another_error(
    kind: str, seed: int, samples: Any, tmp_path: Path
) -> None:
    """Formats without a checksum: read as other numbers or refused, never a traceback."""
    good, read = samples[kind]
    rng = np.random.default_rng(seed)
    noisy = np.frombuffer(good, np.uint8).copy()
    start = int(rng.integers(0, len(noisy) - 200))
    noisy[start : start + 100] = rng.integers(0x80, 0xFF, 100)
    path = tmp_path / f"t.{kind}"
    path.write_bytes(noisy.tobytes())
    try:
        read(path)
    except TruthError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("damage", ["none", *range(5)])
def test_installed_table_is_checked_against_its_packages_record(
    damage: str | int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {name: 50.0 + i for i, name in enumerate(builders.some_cells(5))}
    content = builders.analog_pickle(table)
    _install(tmp_path, content)
    monkeypatch.syspath_prepend(str(tmp_path))
    if damage == "none":
        truth = Analog().load()
        assert truth.sha256 == hashlib.sha256(content).hexdigest() and "9.9" in truth.provenance
        return
    position = int(np.random.default_rng(int(damage)).integers(0, len(content)))
    changed = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
    (tmp_path / "analognasbench" / "data.anb").write_bytes(changed)
    assert "pip install --force-reinstall analog-nasbench" in one_line(Analog().load)


def _install(folder: Path, content: bytes) -> None:
    """Lay out an installed package of one data file, as pip does."""
    (folder / "analognasbench").mkdir()
    (folder / "analognasbench" / "data.anb").write_bytes(content)
    trap = "raise AssertionError('the package must not be imported')\n"
    (folder / "analognasbench" / "__init__.py").write_text(trap)
    information = folder / "analog_nasbench-9.9.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: analog-nasbench\nVersion: 9.9\n"
    )
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    rows = io.StringIO()
    csv.writer(rows).writerow(["analognasbench/data.anb", f"sha256={digest}", len(content)])
    (information / "RECORD").write_text(rows.getvalue())


def test_gzip_of_a_hostile_pickle(canary: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(body("os.system", canary)))
    one_line(Table(path=path).load)
    assert not canary.exists()


@pytest.mark.parametrize("second", [" (1)", "(2)", " copy", "-Copy"])
def test_a_second_download_is_held_to_the_digits_of_its_name_too(
    tmp_path: Path, second: str
) -> None:
    whole = tmp_path / "a.pth"
    whole.write_bytes(b"x" * 100)
    path = builders.signed(whole, "NAS-Bench-201-v1_1", ".pth")
    renamed = path.rename(path.with_name(f"{path.stem}{second}.pth".upper()))
    assert files.digest(renamed)
    renamed.write_bytes(b"x" * 99 + b"y")
    assert "damaged or cut short: its md5" in one_line(lambda: files.digest(renamed))
