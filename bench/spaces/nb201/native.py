"""Calling the compiled cell: its arguments as C sees them. See bench/kernels/nb201_inputs.h."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench import kernels
from bench.spaces.nb201.planned import Plan

WIDTHS = {torch.float32: (8, 4, 2, 1), torch.float64: (4, 2, 1)}
"""Channels in a vector, for each of which there is a library; the widest that fits is used."""
_NAMES = {torch.float32: "float", torch.float64: "double"}


class Shape(ctypes.Structure):
    """The kernel's ``Shape``: sizes, and which operations run."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in (
                "images", "height", "width", "threads", "channels", "whole", "shuffled", "given",
                "counted",
            )
        ),
        *((name, ctypes.c_int64 * 30) for name in ("active", "normal", "touched")),
    )  # fmt: skip


class Tensors(ctypes.Structure):
    """The kernel's ``Tensors``: addresses, null where there is none."""

    _fields_ = tuple(
        (name, ctypes.c_void_p if number == 1 else ctypes.c_void_p * number)
        for name, number in (
            ("nodes", 4), ("parts", 3), ("mixture", 1), ("edges", 1), ("weights", 6), ("scale", 6),
            ("shift", 6), ("outputs", 6), ("statistics", 1), ("factor", 30), ("addend", 30),
            ("gradients", 4), ("dmixture", 1), ("dedges", 1), ("dweights", 6), ("dscale", 6),
            ("dshift", 6),
        )
    )  # fmt: skip


def lanes(dtype: torch.dtype, channels: int) -> int:
    """Return the widest vector that so many channels fill."""
    return next(width for width in WIDTHS[dtype] if channels % width == 0)


def _library(dtype: torch.dtype, width: int) -> Any:
    return kernels.load(f"nb201_cell_{_NAMES[dtype]}{width}")


def available(dtype: torch.dtype = torch.float32, channels: int = 8) -> bool:
    """Say whether there is a kernel for such cells; compiles it at the first call of a process."""
    return _library(dtype, lanes(dtype, channels)) is not None


def shape(x: Tensor, todo: Plan, given: bool, counted: int, shuffled: bool) -> Shape:
    """Describe one cell on x [B, C, H, W]."""

    def table(value: Any) -> Any:
        return (ctypes.c_int64 * 30)(*(int(value(e, o)) for e in range(6) for o in range(5)))

    operations = todo.record.operations
    return Shape(
        len(x), *x.shape[2:], torch.get_num_threads(), todo.width, x.shape[1], shuffled, given,
        counted, table(lambda e, o: o in todo.runs[e]),
        table(lambda e, o: (e, o) in operations and operations[e, o].normal),
        table(lambda e, o: _touched(todo, e, o)),
    )  # fmt: skip


def _touched(todo: Plan, edge: int, operation: int) -> int:
    touch = todo.record.operations.get((edge, operation))
    if touch is None or (touch.factor is None and touch.addend is None and not touch.replaced):
        return 0
    return 2 if touch.replaced else 1


def touches(todo: Plan) -> dict[str, list[Tensor | None]]:
    """Return the factors and addends of all operations, in the kernel's order."""
    places = [todo.record.operations.get((e, o)) for e in range(6) for o in range(5)]
    return {
        "factor": [None if touch is None else touch.factor for touch in places],
        "addend": [None if touch is None else touch.addend for touch in places],
    }


def call(
    name: str,
    dtype: torch.dtype,
    channels: int,
    shape: Shape,
    tensors: Mapping[str, Tensor | Sequence[Tensor | None] | None],
) -> None:
    """Run ``forward`` or ``backward`` of the library for so many channels."""
    library = _library(dtype, lanes(dtype, channels))
    given = Tensors()
    for field, value in tensors.items():
        setattr(given, field, _address(value))
    getattr(library, name)(ctypes.byref(shape), ctypes.byref(given))


def _address(argument: Tensor | Sequence[Tensor | None] | None) -> Any:
    if argument is None or isinstance(argument, Tensor):
        return None if argument is None else argument.data_ptr()
    pointers = (None if t is None else t.data_ptr() for t in argument)
    return (ctypes.c_void_p * len(argument))(*pointers)
