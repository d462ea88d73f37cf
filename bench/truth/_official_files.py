"""Opening official benchmark files safely: plain data comes out, or a refusal."""

from __future__ import annotations

import bz2
import hashlib
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts.truth import TruthError
from bench.truth._unpickle import Allowed, one_line, safe_load

Blocks = Iterator[tuple[int, dict[int, Any]]]
"""Index of the cell, and hyper-parameter set (12 or 200) → state of its `ArchResults`."""

SETS = {"less": 12, "full": 200, "12": 12, "200": 200}
"""What the files call their two training schedules."""


class Dtype:
    """Stands in for `numpy.dtype` in a pickle: knows numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[<|=]?[fiub][1248]", str(code)):
            raise ValueError(f"numpy type {code!r:.40} is not a number")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, ...): big-endian machines never wrote these files.
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise ValueError("unexpected numpy byte order")


def scalar(dtype: Any, data: Any) -> Any:
    """Stand in for numpy's scalar constructor; gives a plain Python number."""
    if not isinstance(dtype, Dtype) or not isinstance(data, bytes):
        raise ValueError("unexpected numpy scalar")
    return np.frombuffer(data, np.dtype(dtype.code.lstrip("<|=")))[0].item()


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    # How protocol 2 writes bytes: _codecs.encode(text, 'latin1').
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("unexpected encoding")
    return text.encode("latin1")


def _numpy_names() -> Allowed:
    kinds = {("numpy", "dtype"): type("dtype", (Dtype,), {})}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    return {**kinds, **{(module, "scalar"): scalar for module in modules}}


def load_torch(path: Path, source: str) -> Any:
    """Read a ``.pth`` with ``torch.load(weights_only=True)``; numpy scalars are allowed besides.

    Raises
    ------
    TruthError
        When the file is damaged or asks for anything else.
    """
    import torch

    _check_archive(path, source)
    allowed: list[Any] = [
        (value, f"{module}.{name}") for (module, name), value in _numpy_names().items()
    ]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        # Torch's own words advise to switch the safe loading off: they are not passed on.
        text = str(error)
        if match := re.search(r"GLOBAL\s+([\w.<>]+)|load reduce .*function\s+(\S+)", text):
            name = match[1] or match[2]
            raise TruthError(
                f"{source}: refused, the file asks for {name:.120}, which is not on the "
                "allow-list; nothing of it was run"
            ) from None
        match = re.search(r"(?:WeightsUnpickler error|PytorchStreamReader failed)[^\n]*", text)
        reason = match[0][:160] if match else one_line(error, 120).split("weights_only")[0]
        raise TruthError(f"{source}: refused, damaged or cut short: {reason}") from None


def _check_archive(path: Path, source: str) -> None:
    # Torch does not look at the checksums of its own zip archives: a flipped bit would become
    # another accuracy.
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # zipfile raises many kinds, NotImplementedError among them
        raise TruthError(f"{source}: damaged or cut short: {one_line(error)}") from None
    if damaged:
        raise TruthError(f"{source}: damaged: wrong checksum of {damaged!r:.80}")


def load_bz2(path: Path, source: str) -> Any:
    """Read a ``.pickle.pbz2`` with an allow-list.

    Raises
    ------
    TruthError
        When the file is damaged or asks for anything but plain containers and numbers.
    """
    allowed: Allowed = {
        **_numpy_names(),
        ("collections", "OrderedDict"): OrderedDict,
        ("builtins", "set"): set,
        ("__builtin__", "set"): set,
        ("_codecs", "encode"): _latin1,
    }
    try:
        with bz2.open(path, "rb") as file:
            return safe_load(file, allowed, source)
    except (OSError, EOFError) as error:
        raise TruthError(f"{source}: cannot be read: {one_line(error)}") from None


def kind(path: Path, source: str) -> str:
    """Say by its first bytes what an official file is: ``torch``, ``bz2`` or ``folder``.

    Raises
    ------
    TruthError
        When it is none of them.
    """
    if path.is_dir():
        if (path / "meta.pickle.pbz2").is_file():
            return "folder"
        raise TruthError(f"{source}: a folder without meta.pickle.pbz2, so not one of NATS-Bench's")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise TruthError(f"{source}: cannot be read: {one_line(error)}") from None
    if start[:3] == b"BZh":
        return "bz2"
    if start == b"PK\x03\x04" or start[:1] == b"\x80":
        return "torch"
    if start == b"PAR1":
        raise TruthError(f"{source}: already a table; use it as it is")
    raise TruthError(
        f"{source}: neither a NAS-Bench-201 .pth nor a NATS-Bench .pickle.pbz2 file "
        "(CSV and parquet tables need no import)"
    )


def digest(path: Path) -> str:
    """Return the sha256 of a file, or of the sorted file hashes of a folder."""
    if path.is_dir():
        files = sorted(path.glob("*.pickle.pbz2"))
        lines = "".join(f"{digest(file)}  {file.name}\n" for file in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def blocks(path: Path, source: str) -> tuple[list[Any], Blocks]:
    """Open any official file; returns the cells' strings and an iterator over the results.

    The results of a cell are dropped from memory once they have been handed out.

    Raises
    ------
    TruthError
        When the file is damaged, hostile or of another shape.
    """
    if kind(path, source) == "folder":
        meta = load_bz2(path / "meta.pickle.pbz2", source)
        return _names(meta, source), _folder(path, source)
    content = (load_torch if kind(path, source) == "torch" else load_bz2)(path, source)
    names = _names(content, source)
    infos = content.get("arch2infos")
    if not isinstance(infos, dict) or not infos:
        raise TruthError(f"{source}: not an official benchmark file: no 'arch2infos'")
    return names, _whole(infos, source)


def _names(content: Any, source: str) -> list[Any]:
    names = content.get("meta_archs") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names:
        raise TruthError(f"{source}: not an official benchmark file: no 'meta_archs'")
    if isinstance(names[0], str) and re.fullmatch(r"\d+(:\d+)+", names[0]):
        raise TruthError(f"{source}: NATS-Bench's size space (sss); only topology (tss) is read")
    return names


def _whole(infos: dict[Any, Any], source: str) -> Blocks:
    for index in sorted(infos, key=lambda key: key if type(key) is int else -1):
        yield index, _sets(infos.pop(index), index, source)


def _folder(path: Path, source: str) -> Blocks:
    files = sorted(path.glob("[0-9]" * 6 + ".pickle.pbz2"))
    if not files:
        raise TruthError(f"{source}: no files such as 000000.pickle.pbz2 in this folder")
    for file in files:
        index = int(file.name[:6])
        yield index, _sets(load_bz2(file, f"{source}/{file.name}"), index, source)


def _sets(info: Any, index: Any, source: str) -> dict[int, Any]:
    if type(index) is not int or not isinstance(info, dict):
        raise TruthError(f"{source}: unexpected results of cell {index!r:.40}")
    unknown = [key for key in info if key not in SETS]
    if unknown:
        raise TruthError(f"{source}: cell {index}: unknown training schedule {unknown[0]!r:.40}")
    return {SETS[key]: state for key, state in info.items()}
