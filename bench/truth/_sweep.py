"""Reading pickles that are larger than memory: what has been read and is not needed is let go.

The official files are one pickle of up to 5 GB each, which would take 30 GB as Python objects:
every epoch of every trial, and every name of an epoch, a string of its own that the unpickler
remembers in case the pickle refers to it again. So now and then, while it is being read, finished
trials are cut down to what is imported of them, and what is remembered to what later cells can
refer to.
"""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

from bench.truth._plain import Mapping
from bench.truth._trials import compact

STEP = 64 << 20
"""Bytes of a pickle between two sweeps."""
RECENT = 50_000
"""Entries of the memo that the trial under way may still refer to: a trial has 5,000 at most."""


class Sweep:
    """Sweeps one unpickler; to be called with how many bytes it has read."""

    def __init__(self) -> None:
        self.unpickler: pickle.Unpickler | None = None
        self.next, self.swept = STEP, False

    def __call__(self, count: int) -> None:
        """Sweep, if it is time to."""
        if count >= self.next and self.unpickler is not None:
            self.next = count + STEP
            self.unpickler.memo = _memo(_kept(self.unpickler.memo.copy()))
            self.swept = True


def _kept(memo: dict[int, Any]) -> dict[int, Any]:
    """Cut finished trials down; return what is to be remembered."""
    kept, recent = {}, max(memo, default=0) - RECENT
    for index, thing in memo.items():
        kind = type(thing)
        if kind is dict or kind is Mapping:
            compact(thing)
        if index > recent or _common(thing):
            kept[index] = thing
    return kept


def _common(thing: Any) -> bool:
    """Whether later cells may refer to it: names that all share, and what stands for classes."""
    if type(thing) is str:
        return "@" not in thing  # an epoch, such as x-valid@199: its trial's own
    return type(thing) not in (dict, Mapping, list, tuple, set, bytes)


class _Given(pickle.Unpickler):
    def __init__(self, things: list[Any], file: io.BytesIO) -> None:
        super().__init__(file)
        self.things = things

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(name)  # the pickle below has none

    def persistent_load(self, pid: Any) -> Any:
        return self.things[pid]


def _memo(kept: dict[int, Any]) -> Any:
    """Return the memo of an unpickler that remembers just these.

    An unpickler takes the memo of another one, but no dictionary. So one is made that reads a
    pickle of nothing but memo entries.
    """
    order = sorted(kept, reverse=True)  # the longest first: room is made once
    parts = [
        b"J" + struct.pack("<i", number) + b"Qr" + struct.pack("<I", index) + b"0"
        for number, index in enumerate(order)
    ]
    given = _Given([kept[i] for i in order], io.BytesIO(b"\x80\x02" + b"".join(parts) + b"N."))
    given.load()
    return given.memo
