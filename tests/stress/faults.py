"""Errors of the system, put into one operation on one kind of file, in this process."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

WRITES = ("create", "sync", "rename")
READS = ("open", "read")


class Fault:
    """An errno at some of the calls of an operation on files of a name.

    Attributes
    ----------
    seen, hit
        How many calls there were, and how many of them failed.
    """

    def __init__(
        self,
        operation: str,
        name: str,
        code: int,
        *,
        first: int = 0,
        times: int = 1,
        inside: str = "",
    ) -> None:
        self.operation, self.name, self.code, self.inside = operation, name, code, inside
        self.range = range(first, first + times)
        self.seen = self.hit = 0

    def strike(self, path: str) -> None:
        """Fail if it is this call's turn."""
        if self.inside not in path:
            return
        self.seen += 1
        if self.seen - 1 in self.range:
            self.hit += 1
            raise OSError(self.code, os.strerror(self.code), path)

    def _temporary(self, path: str) -> bool:
        return os.path.basename(path).startswith(f".{self.name}.")

    @contextlib.contextmanager
    def active(self) -> Iterator[Fault]:
        """Have it happen while the body runs."""
        opened, synced, moved, made = os.open, os.fsync, os.replace, tempfile.mkstemp
        wrapped = os.fdopen

        def os_open(path, flags, *rest, **named):
            if self.operation == "open" and os.path.basename(os.fspath(path)) == self.name:
                self.strike(str(path))
            return opened(path, flags, *rest, **named)

        def fsync(handle):
            if self.operation == "sync":
                path = os.readlink(f"/proc/self/fd/{handle}")
                if self._temporary(path):
                    self.strike(path)
            return synced(handle)

        def replace(source, target, **named):
            if self.operation == "rename" and os.path.basename(os.fspath(target)) == self.name:
                self.strike(str(target))
            return moved(source, target, **named)

        def mkstemp(*rest, **named):
            if self.operation == "create" and named.get("prefix") == f".{self.name}.":
                self.strike(str(Path(named["dir"]) / self.name))
            return made(*rest, **named)

        def fdopen(handle, *rest, **named):
            file = wrapped(handle, *rest, **named)
            path = os.readlink(f"/proc/self/fd/{handle}")
            if self.operation == "read" and os.path.basename(path) == self.name:
                return _Broken(file, lambda: self.strike(path))
            return file

        patches = {"open": os_open, "fsync": fsync, "replace": replace, "fdopen": fdopen}
        with contextlib.ExitStack() as stack:
            for name, function in patches.items():
                stack.enter_context(mock.patch.object(os, name, function))
            stack.enter_context(mock.patch.object(tempfile, "mkstemp", mkstemp))
            yield self


class _Broken(io.RawIOBase):
    """A file whose reading fails when it is told to."""

    def __init__(self, file, strike) -> None:
        self.file, self.strike = file, strike

    def read(self, size=-1):
        self.strike()
        return self.file.read(size)

    def fileno(self):
        return self.file.fileno()

    def seek(self, *place):
        return self.file.seek(*place)

    def close(self):
        self.file.close()
        super().close()
