"""Opening files that others may have made: regular ones only, of bounded size, checked once open.

Opening a named pipe waits for ever, a device may have no end, a link leads elsewhere, and a few
bytes may unpack into gigabytes. So nothing in `bench` opens a file but through here; a test walks
the source for other ways. What is written is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from bench.written import one_line

FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe put in the file's place just now must not be waited for
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
PIECE = 1 << 20
"""Bytes taken at a time from what unpacks."""


class UnfitFileError(ValueError):
    """A file that must not be read: one line that names it and says what is wrong with it."""


@contextlib.contextmanager
def open_regular(
    path: Path | str, limit: int | None = None, *, links: bool = True
) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Parameters
    ----------
    limit
        Bytes that it may have at most; None: any number, for what is read piece by piece.
    links
        Whether the path itself may be a link. False for what stands in a folder that this program
        fills: it never makes links there.

    Yields
    ------
    BinaryIO
        At the first byte. What it is was asked of the open file, so that nothing else can take its
        place in between; it may still grow, so read at most ``limit`` bytes.

    Raises
    ------
    UnfitFileError
        When it is no regular file, a link where none may be, or larger than ``limit``.
    OSError
        When it is missing or cannot be opened.
    """
    # Looked at first as well: opening some devices does something.
    _regular(os.stat(path, follow_symlinks=links), path)
    flags = FLAGS | (0 if links else getattr(os, "O_NOFOLLOW", 0))
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if not links and error.errno in (errno.ELOOP, errno.EMLINK):
            raise UnfitFileError(f"{path}: is a link") from None
        raise
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        _regular(found, path)
        if limit is not None and found.st_size > limit:
            raise too_large(path, found.st_size, limit)
        yield file


def read(path: Path | str, limit: int, *, links: bool = True) -> bytes:
    """Return the bytes of a regular file that has at most ``limit``; see `open_regular`."""
    with open_regular(path, limit, links=links) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # it grew after it was opened
        raise too_large(path, len(content), limit)
    return content


def read_text(path: Path | str, limit: int, *, links: bool = True) -> str:
    """Return the text of a regular UTF-8 file, any line end as ``\\n``; see `open_regular`.

    Raises
    ------
    UnfitFileError
        Also when it is not UTF-8.
    """
    try:
        text = read(path, limit, links=links).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnfitFileError(f"{path}: not UTF-8 text (byte {error.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path | str, limit: int, *, links: bool = True) -> Any:
    """Return what a regular file of JSON says; see `open_regular`.

    Raises
    ------
    UnfitFileError
        Also when it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(read(path, limit, links=links))
    except UnfitFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnfitFileError(f"{path}: not JSON ({one_line(error, 120)})") from None


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that it is there whole or not at all: temporary file, fsync, rename.

    Parameters
    ----------
    durable
        Wait until it is on the disk; without, a power cut may leave it empty or old.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)  # temporary files are private; results are for colleagues
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # where it can neither be written nor removed
            os.unlink(temporary)
        raise
    if durable and hasattr(os, "O_DIRECTORY"):  # the rename itself must survive a power cut
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a regular file, no link, made where it is missing; on the disk afterwards.

    Raises
    ------
    UnfitFileError
        When something else stands in its place.
    OSError
        When it cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        _regular(os.stat(path, follow_symlinks=False), path)
    flags = FLAGS & ~os.O_RDONLY | os.O_WRONLY | os.O_CREAT | os.O_APPEND
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)
    with os.fdopen(handle, "ab") as file:
        _regular(os.fstat(handle), path)
        file.write(content)
        file.flush()
        os.fsync(handle)


def unpack(packed: IO[bytes], limit: int, source: Path | str) -> bytes:
    """Return what an opened decompressor gives, which may be at most ``limit`` bytes.

    Parameters
    ----------
    packed
        For example ``bz2.BZ2File(io.BytesIO(content))``; its own errors are passed on.
    source
        What it is called in errors.

    Raises
    ------
    UnfitFileError
        When there is more; no more than ``limit`` and a piece has been unpacked then.
    """
    pieces, size = list[bytes](), 0
    while piece := packed.read(PIECE):
        size += len(piece)
        if size > limit:
            raise UnfitFileError(f"{source}: unpacks to more than the {limit:,} bytes expected")
        pieces.append(piece)
    return b"".join(pieces)


def check_zip(archive: IO[bytes], limit: int, source: Path | str, *, packed: bool = False) -> None:
    """Refuse a zip archive whose members hold more bytes than they should.

    Parameters
    ----------
    limit
        Bytes of all members together.
    packed
        Whether members may be compressed. Where this program writes archives they never are.

    Raises
    ------
    UnfitFileError
        When it is no sound archive, holds more, or a member twice.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        reason = one_line(error)
        raise UnfitFileError(f"{source}: not a sound archive ({reason})") from None
    if not packed and any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UnfitFileError(f"{source}: holds compressed members, which it should not")
    if (size := sum(member.file_size for member in members)) > limit:
        raise UnfitFileError(
            f"{source}: unpacks to {size:,} bytes, more than the {limit:,} expected"
        )
    if len({member.filename for member in members}) != len(members):
        raise UnfitFileError(f"{source}: holds a member twice")


def too_large(path: Path | str, size: int, limit: int) -> UnfitFileError:
    """Return the error for a file of too many bytes."""
    return UnfitFileError(f"{path}: {size:,} bytes are more than the {limit:,} expected here")


_KINDS = (
    (stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def _regular(found: os.stat_result, path: Path | str) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "no file")
    raise UnfitFileError(
        f"{path}: is {kind}" + ("" if kind == "a link" else ", not a regular file")
    )
