"""What the pickles of official benchmark files are made of: containers, numbers and passed-over weights.

The benchmark's own packages are not asked: they open as a file whatever they find to be a string,
with an unpickler that runs anything. Here a pickle may name a few things, and of each it gets an
object without attributes, so that there is nothing in it that a hostile file could change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from bench.contracts.truth import TruthError
from bench.tables.unpickle import Allowed, SafeUnpickler, load_safely


class Weights:
    """Stands for a trained network's weights (``-FULL`` files): there were some."""

    __slots__ = ()


WEIGHTS = Weights()


class Mapping(dict[Any, Any]):
    """Stands for an ordered dictionary: a plain one that takes no attributes.

    PyTorch hangs a ``_metadata`` on the dictionaries of weights; it is passed over.
    """

    __slots__ = ()

    def __setstate__(self, state: object) -> None: ...


class NumberType:
    """Stands for a `numpy.dtype`: knows numbers only."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        # (version, byte order, ...): big-endian machines never wrote these files.
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise ValueError("unexpected numpy byte order")


class _Function:
    """What a pickle may call. An instance without attributes, since it may set them on functions."""

    __slots__ = ()


class _NumberType(_Function):
    __slots__ = ()

    def __call__(self, code: object, *_: object) -> NumberType:
        if type(code) is not str or not re.fullmatch(r"[<|=]?[fiub][1248]", code):
            raise ValueError("a numpy type that is no number")
        return NumberType(code.lstrip("<|="))


class _Scalar(_Function):
    __slots__ = ()

    def __call__(self, kind: object, data: object) -> Any:
        """Give a plain Python number."""
        if type(kind) is not NumberType or type(data) is not bytes:
            raise ValueError("unexpected numpy scalar")
        number = np.dtype(kind.code)
        if len(data) != number.itemsize:
            raise ValueError("numpy scalar of another size")
        return np.frombuffer(data, number)[0].item()


class _Mapping(_Function):
    __slots__ = ()

    def __call__(self, *items: object) -> Mapping:
        return Mapping(*items)


class _Set(_Function):
    __slots__ = ()

    def __call__(self, *items: object) -> set[Any]:
        if len(items) > 1 or (items and type(items[0]) is not list):
            raise ValueError("unexpected set")
        return set(items[0]) if items else set()  # type: ignore[call-overload]


class _Bytes(_Function):
    __slots__ = ()

    def __call__(self, text: object, encoding: object = "latin1") -> bytes:
        # How protocol 2 writes bytes: _codecs.encode(text, 'latin1').
        if type(text) is not str or encoding != "latin1":
            raise ValueError("unexpected encoding")
        return text.encode("latin1")


class _Weights(_Function):
    __slots__ = ()

    def __call__(self, *_: object) -> Weights:
        return WEIGHTS


NAMES: Allowed = {
    ("numpy", "dtype"): _NumberType(),
    ("numpy.core.multiarray", "scalar"): _Scalar(),
    ("numpy._core.multiarray", "scalar"): _Scalar(),
    ("collections", "OrderedDict"): _Mapping(),
    ("builtins", "set"): _Set(),
    ("__builtin__", "set"): _Set(),
    ("_codecs", "encode"): _Bytes(),
}
"""What any official file may name."""

STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
TORCH: Allowed = {
    **NAMES,
    ("torch._utils", "_rebuild_tensor"): _Weights(),
    ("torch._utils", "_rebuild_tensor_v2"): _Weights(),
    ("torch._utils", "_rebuild_parameter"): _Weights(),
    **{("torch", f"{kind}Storage"): _Weights() for kind in STORAGES},
}
"""What a ``.pth`` file may name besides: its weights are passed over, never read."""


class _Torch(SafeUnpickler):
    def persistent_load(self, pid: object) -> Weights:
        """Pass over a storage: what follows the pickle is not looked at."""
        if type(pid) is not tuple or not pid or pid[0] != "storage":
            raise TruthError(f"{self.source}: refused: a persistent id that is no storage")
        return WEIGHTS


Watch = Callable[[SafeUnpickler], None]
"""Is given the unpickler before it begins."""


def load(file: IO[bytes], source: str, watch: Watch = lambda unpickler: None) -> Any:
    """Read one pickle of plain containers and numbers.

    Raises
    ------
    TruthError
        When it is damaged or asks for anything else.
    """
    unpickler = SafeUnpickler(file, NAMES, source)
    watch(unpickler)
    return load_safely(unpickler)


def load_torch(file: IO[bytes], source: str, watch: Watch = lambda unpickler: None) -> Any:
    """Read one pickle that PyTorch wrote; tensors become `WEIGHTS`.

    Raises
    ------
    TruthError
        When it is damaged or asks for anything else.
    """
    unpickler = _Torch(file, TORCH, source)
    watch(unpickler)
    return load_safely(unpickler)


def shown(value: object) -> str:
    """Show a value of a stranger's file in an error: short, on one line, whatever it is."""
    if type(value) is str:
        return repr(value[:80]) if len(value) <= 80 else repr(value[:79]) + "…"
    if type(value) is int and value.bit_length() > 64:
        return "an integer of more than 64 bits"
    if value is None or type(value) in (int, float, bool):
        return repr(value)
    if type(value) is Mapping:
        return "dict"
    return "tensor" if type(value) is Weights else type(value).__name__
