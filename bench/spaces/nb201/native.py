"""Calling the compiled cell: its arguments as C sees them. See bench/kernels/nb201_inputs.h."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench import kernels
from bench.kernels.recorded import Record
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
                "images",
                "height",
                "width",
                "threads",
                "channels",
                "whole",
                "shuffled",
                "given",
                "counted",
            )
        ),
        *((name, ctypes.c_int64 * 30) for name in ("active", "normal", "touched")),
    )


class Tensors(ctypes.Structure):
    """The kernel's ``Tensors``: addresses, null where there is none."""

    _fields_ = tuple(
        (name, ctypes.c_void_p if number == 1 else ctypes.c_void_p * number)
        for name, number in (
            ("nodes", 4),
            ("parts", 3),
            ("mixture", 1),
            ("edges", 1),
            ("weights", 6),
            ("scale", 6),
            ("shift", 6),
            ("outputs", 6),
            ("statistics", 1),
            ("factor", 30),
            ("addend", 30),
            ("gradients", 4),
            ("dmixture", 1),
            ("dedges", 1),
            ("dweights", 6),
            ("dscale", 6),
            ("dshift", 6),
        )
    )


@functools.lru_cache(maxsize=256)
def lanes(dtype: torch.dtype, channels: int) -> int:
    """Return the widest vector that so many channels fill."""
    return next(width for width in WIDTHS[dtype] if channels % width == 0)


def _library(dtype: torch.dtype, width: int) -> Any:
    return kernels.load(f"nb201_cell_{_NAMES[dtype]}{width}", "forward", "backward")


def available(dtype: torch.dtype = torch.float32, channels: int = 8) -> bool:
    """Say whether there is a kernel for such cells; compiles it at the first call of a process."""
    return _library(dtype, lanes(dtype, channels)) is not None


@functools.lru_cache(maxsize=1024)
def shape(
    todo: Plan, size: tuple[int, ...], threads: int, given: bool, counted: int, shuffled: bool
) -> Shape:
    """Describe one cell on tensors of ``size`` [B, C, H, W]."""

    def table(value: Callable[[int, int], int]) -> Any:
        return (ctypes.c_int64 * 30)(*(value(e, o) for e in range(6) for o in range(5)))

    images, channels, height, width = size
    return Shape(
        images,
        height,
        width,
        threads,
        todo.width,
        channels,
        shuffled,
        given,
        counted,
        table(lambda e, o: o in todo.runs[e]),
        table(lambda e, o: (e, o) in todo.normal),
        table(lambda e, o: todo.touched.get((e, o), 0)),
    )


def touches(todo: Plan, done: Record) -> dict[str, list[Tensor | None]]:
    """Return the factors and addends of all operations, in the kernel's order."""
    if not todo.touched:
        return {}
    places = [done.operations.get((e, o)) for e in range(6) for o in range(5)]
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
        if isinstance(value, Tensor):
            setattr(given, field, value.data_ptr())
        elif value is not None:
            addresses = getattr(given, field)
            for i, tensor in enumerate(value):
                if tensor is not None:
                    addresses[i] = tensor.data_ptr()
    getattr(library, name)(ctypes.byref(shape), ctypes.byref(given))
