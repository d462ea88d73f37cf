"""Opening official benchmark files safely: what is where, in which container, and is it whole?"""

from __future__ import annotations

import bz2
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from bench.contracts.truth import TruthError
from bench.files import UnfitFileError, open_regular
from bench.tables.unpickle import SafeUnpickler, one_line
from bench.truth._plain import Mapping, load, load_torch, shown
from bench.truth._sweep import Sweep

SETS = {"less": 12, "full": 200, "12": 12, "200": 200}
"""What the files call their two training schedules → epochs."""
ROOM, RATIO = 16 << 20, 100
"""Bytes that any file may unpack to, and besides per byte of it: real ones need 4 to 40."""

Reading = Callable[[int, int], None]
"""Called now and then with how much has been read, and of how much."""


class Cell(NamedTuple):
    """The results of one cell, as stored."""

    number: int
    sets: dict[int, Any]
    """Training epochs (12 or 200) → state of the benchmark's `ArchResults`."""
    source: str
    """The file that they stand in, for errors."""


class Official(NamedTuple):
    """An opened official file."""

    benchmark: str
    names: list[Any] | None
    """Every cell's string by its index; None for a folder that does not say."""
    cells: Iterator[Cell]


# Containers


class _Counting(io.RawIOBase):
    """Passes reads on to a file, says how far they are, and bounds what it unpacks to."""

    def __init__(
        self,
        file: Any,
        room: int,
        source: str,
        said: Callable[[int], None],
        sweep: Sweep | None,
    ) -> None:
        self.file, self.room, self.source, self.said = file, room, source, said
        self.count, self.sweep = 0, sweep

    def watch(self, unpickler: SafeUnpickler) -> None:
        """Let go of what the unpickler need not keep, if it is to be swept."""
        if self.sweep is not None:
            self.sweep.unpickler = unpickler

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got: int = self.file.readinto(buffer)
        self.count += got
        if self.count > self.room:
            raise TruthError(
                f"{self.source}: unpacks to more than {self.room:,} bytes, which no such file does"
            )
        self.said(self.count)
        if self.sweep is not None:
            self.sweep(self.count)
        return got


def _silent(*_: int) -> None: ...


def load_bz2(path: Path, source: str, said: Reading = _silent, sweep: Sweep | None = None) -> Any:
    """Read a ``.pickle.pbz2``.

    Raises
    ------
    TruthError
        When the file is damaged, unpacks to a thousandfold, or asks for anything but plain
        containers and numbers.
    """
    try:
        packed = path.stat().st_size
        with open_regular(path) as raw, bz2.BZ2File(raw) as unpacked:
            counting = _Counting(
                unpacked, ROOM + RATIO * packed, source, lambda _: said(raw.tell(), packed), sweep
            )
            file = io.BufferedReader(counting, 1 << 17)
            content = load(file, source, counting.watch)
            while file.read(1 << 20):  # the checksum comes last
                pass
            return content
    except (OSError, EOFError, UnfitFileError) as error:
        raise TruthError(f"{source}: damaged or cannot be read: {one_line(error)}") from None


def load_pth(path: Path, source: str, said: Reading = _silent, sweep: Sweep | None = None) -> Any:
    """Read a ``.pth`` of either of PyTorch's formats; its weights are passed over.

    Raises
    ------
    TruthError
        When the file is damaged or asks for anything but plain containers, numbers and weights.
    """
    try:
        with open_regular(path) as raw:
            if zipfile.is_zipfile(raw):
                return _load_zip(raw, source, said, sweep)
            raw.seek(0)
            size = path.stat().st_size
            return _load_legacy(_Counting(raw, size, source, lambda n: said(n, size), sweep))
    except TruthError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        # zipfile says by NotImplementedError, a RuntimeError, what it cannot unpack
        raise TruthError(f"{source}: damaged or cut short: {one_line(error)}") from None


def _load_zip(raw: IO[bytes], source: str, said: Reading, sweep: Sweep | None) -> Any:
    with zipfile.ZipFile(raw) as archive:
        found = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
        if len(found) != 1:
            raise TruthError(
                f"{source}: damaged, or no file of PyTorch: {len(found)} data.pkl in it"
            )
        info = found[0]
        # PyTorch packs nothing; a packed member could unpack to anything.
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise TruthError(f"{source}: a packed archive, such as PyTorch never writes")
        with archive.open(info) as member:
            size = info.file_size
            counting = _Counting(member, size, source, lambda n: said(n, size), sweep)
            file = io.BufferedReader(counting, 1 << 17)
            content = load_torch(file, source, counting.watch)
            # Neither PyTorch nor a pickle looks at the checksum, which zipfile does at the end:
            # a flipped bit would become another accuracy.
            while file.read(1 << 20):
                pass
            return content


MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def _load_legacy(counting: _Counting) -> Any:
    file, source = io.BufferedReader(counting, 1 << 17), counting.source
    if load(file, source) != MAGIC or load(file, source) != PROTOCOL:
        raise TruthError(f"{source}: not a file of PyTorch")
    system = load(file, source)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise TruthError(f"{source}: not of a little-endian machine")
    content = load_torch(file, source, counting.watch)
    keys = load(file, source)  # of the weights that follow
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise TruthError(f"{source}: damaged or cut short after the results")
    return content


# What is in them


def kind(path: Path, source: str) -> str:
    """Say by its first bytes what an official file is: ``torch``, ``bz2``, ``folder`` or ``archive``.

    Raises
    ------
    TruthError
        When it is none of them.
    """
    try:
        if path.is_dir():
            if (path / "meta.pickle.pbz2").is_file():
                return "folder"
            if next(path.glob(f"{DIGITS}-*.pth"), None):
                return "archive"
            raise TruthError(
                f"{source}: a folder without meta.pickle.pbz2 (NATS-Bench) and without files such "
                "as 000000-FULL.pth (NAS-Bench-201's archive)"
            )
        if not path.is_file():
            raise TruthError(f"{source}: not a file")
        with open_regular(path) as file:
            start = file.read(4)
    except (OSError, UnfitFileError) as error:
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


DIGITS = "[0-9]" * 6
OFFICIAL = re.compile(
    r"NA(?:S-Bench-201|TS-tss)-v\d+_\d+-([0-9a-f]{5,6})(?:[ _-]*(?:\(\d+\)|copy(?: \d+)?))?\..*",
    re.IGNORECASE,
)
"""What the authors call their files, also as a browser or a desktop calls a second one."""


def members(path: Path, source: str) -> list[Path]:
    """Return the files that are read, those of a folder by the index of their cell.

    Raises
    ------
    TruthError
        When one is a pipe or a device, which one could wait for without end.
    """
    found = [path]
    if path.is_dir() and (path / "meta.pickle.pbz2").is_file():
        found = sorted(path.glob(f"{DIGITS}.pickle.pbz2"))
    elif path.is_dir():
        simple = {file.name[:6]: file for file in path.glob(f"{DIGITS}-SIMPLE.pth")}
        full = {file.name[:6]: file for file in path.glob(f"{DIGITS}-FULL.pth")}
        found = [file for _, file in sorted({**full, **simple}.items())]  # simple: no weights
    if odd := next((file for file in found if not file.is_file()), None):
        raise TruthError(f"{source if odd == path else f'{source}/{odd.name}'}: not a file")
    return found


def digest(path: Path, said: Reading = _silent) -> str:
    """Return the sha256 of a file, or of the sorted file hashes of a folder.

    Raises
    ------
    TruthError
        When the name of a file carries the last digits of its md5, as official ones do, and they
        are not its own: half of the bits that flip in such a file would become other accuracies.
    """
    if path.is_dir():
        files = [*path.glob("meta.pickle.pbz2"), *members(path, path.name)]
        lines = "".join(f"{digest(file)}  {file.name}\n" for file in sorted(files))
        return hashlib.sha256(lines.encode()).hexdigest()
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open_regular(path) as file:
        size, done = path.stat().st_size, 0
        while block := file.read(1 << 22):
            sha256.update(block)
            md5.update(block)
            done += len(block)
            said(done, size)
    named = OFFICIAL.fullmatch(path.name)
    if named and not md5.hexdigest().endswith(named[1].lower()):
        raise TruthError(
            f"{path.name}: damaged or cut short: its md5 ends in {md5.hexdigest()[-6:]}, not in the "
            f"{named[1]} of its name (of a file of your own, leave these digits out of the name)"
        )
    return sha256.hexdigest()


def blocks(path: Path, source: str, said: Reading = _silent) -> Official:
    """Open any official file.

    The results of a cell are dropped from memory once they have been handed out.

    Raises
    ------
    TruthError
        When the file is damaged, hostile or of another shape; while iterating, too.
    """
    form = kind(path, source)
    if form in ("folder", "archive"):
        names = None
        if form == "folder":
            names = _names(
                load_bz2(path / "meta.pickle.pbz2", f"{source}/meta.pickle.pbz2"), source
            )
        benchmark = "NATS-Bench topology" if form == "folder" else "NAS-Bench-201"
        return Official(benchmark, names, _folder(members(path, source), source, said))
    content = _swept(load_pth if form == "torch" else load_bz2, path, source, said)
    names = _names(content, source)
    infos = content.get("arch2infos")
    if type(infos) not in (dict, Mapping) or not infos:
        raise TruthError(f"{source}: not an official benchmark file: no 'arch2infos'")
    benchmark = "NAS-Bench-201" if form == "torch" else "NATS-Bench topology"
    return Official(benchmark, names, _whole(infos, source))


def _swept(read: Callable[..., Any], path: Path, source: str, said: Reading) -> Any:
    """Read a whole file in little memory; one that refers back to old cells, in as much as it takes."""
    sweep = Sweep()
    try:
        return read(path, source, said, sweep)
    except TruthError as error:
        if not sweep.swept or "Memo value not found" not in str(error):
            raise
    return read(path, source, said)


def _names(content: Any, source: str) -> list[Any]:
    names = content.get("meta_archs") if type(content) in (dict, Mapping) else None
    if type(names) is not list or not names:
        raise TruthError(f"{source}: not an official benchmark file: no 'meta_archs'")
    if type(names[0]) is str and re.fullmatch(r"\d+(:\d+)+", names[0][:80]):
        raise TruthError(f"{source}: NATS-Bench's size space (sss); only topology (tss) is read")
    return names


def _whole(infos: dict[Any, Any], source: str) -> Iterator[Cell]:
    for index in infos:
        if type(index) is not int or not 0 <= index < 1 << 31:
            raise TruthError(f"{source}: the index of a cell is {shown(index)}")
    for index in sorted(infos):
        yield Cell(index, _sets(infos.pop(index), index, source), source)


def _folder(files: list[Path], source: str, said: Reading) -> Iterator[Cell]:
    if not files:
        raise TruthError(f"{source}: no files such as 000000.pickle.pbz2 in this folder")
    for done, file in enumerate(files, 1):
        index, name = int(file.name[:6]), f"{source}/{file.name}"
        content = (load_bz2 if file.suffix == ".pbz2" else load_pth)(file, name)
        yield Cell(index, _sets(content, index, name), name)
        said(done, len(files))


def _sets(info: Any, index: int, source: str) -> dict[int, Any]:
    if type(info) not in (dict, Mapping):
        raise TruthError(f"{source}: cell {index}: its results are {shown(info)}, not a dict")
    for key in info:
        if type(key) is not str or key not in SETS:
            raise TruthError(f"{source}: cell {index}: unknown training schedule {shown(key)}")
    found = {SETS[key]: state for key, state in info.items()}
    if len(found) != len(info):
        raise TruthError(f"{source}: cell {index}: a training schedule occurs twice")
    return found
