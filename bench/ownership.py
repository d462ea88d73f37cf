"""Files that are believed because of whose they are: code, and results that were kept.

A checksum tells that a file is whole, not who wrote it. What is loaded as code, or taken for a result
without being made again, must lie where only its user (and root) can have put it: every folder on the
way is opened from the one above without following links, and looked at once it is open.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.files import open_regular

_FOLDER = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_OTHERS, _GROUP = stat.S_IWOTH, stat.S_IWGRP


def check_folder(path: Path) -> Path:
    """Return where a folder really lies, if nobody but its user and root can change what is in it.

    Raises
    ------
    PermissionError
        Where it, or a folder on the way to it, belongs to somebody else or others may write to it.
        Folders in which everybody may put files but only owners remove them (``/tmp``) may be on
        the way.
    OSError
        Where it is not there.
    """
    place = Path(os.path.realpath(path))
    if os.name != "posix":  # rights are another system there: the user's own profile is trusted
        return place
    above = os.open(place.anchor, _FOLDER)
    try:
        so_far = Path(place.anchor)
        _trusted(os.fstat(above), so_far, sticky=True)
        for name in place.parts[1:]:
            # A link here was put in since the path was resolved.
            inside = os.open(name, _FOLDER, dir_fd=above)
            os.close(above)
            above, so_far = inside, so_far / name
            _trusted(os.fstat(above), so_far, sticky=so_far != place)
    finally:
        os.close(above)
    return place


@contextlib.contextmanager
def open_own(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open a regular file that only its user and root can have written; no link.

    Parameters
    ----------
    limit
        Bytes that it may have at most.

    Raises
    ------
    PermissionError, UnfitFileError, OSError
        Where it is not such a file.
    """
    place = check_folder(path.parent) / path.name
    with open_regular(place, limit, links=False) as file:
        if os.name == "posix":
            _trusted(os.fstat(file.fileno()), place)
        yield file


def read_own(path: Path, limit: int) -> bytes:
    """Return what such a file holds; see `open_own`."""
    with open_own(path, limit) as file:
        return file.read(limit)


def _trusted(found: os.stat_result, path: Path, *, sticky: bool = False) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{path}: belongs to another user")
    if sticky and found.st_mode & stat.S_ISVTX:
        return
    if found.st_mode & _OTHERS:
        raise PermissionError(f"{path}: everybody may write here")
    if found.st_mode & _GROUP and not _alone(found.st_gid):
        raise PermissionError(f"{path}: a group may write here")


def _alone(group: int) -> bool:
    """Say whether a group has no other member: where each user has one, folders are open to it."""
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (
        user.pw_gid == group and found.gr_name == user.pw_name and {*found.gr_mem} <= {user.pw_name}
    )
