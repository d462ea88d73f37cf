"""Dropout's factors, the same numbers wherever they are drawn.

A counted generator: whether element i is kept is a hash of i and the seed, so that nothing is drawn
one after the other. A compiled loop does it, elementwise integer arithmetic of PyTorch where there is
no compiler, or on a GPU; both give the same bits. Torch's own ``bernoulli_`` takes seven times as long
as the loop.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench import kernels

_FILL = {torch.float32: "fill_float", torch.float64: "fill_double"}
_ARGUMENTS = (*[ctypes.c_uint32] * 3, ctypes.c_double, ctypes.c_int64, ctypes.c_void_p)
BITS = 24
"""A probability is rounded to so many bits."""


def factors(
    shape: Sequence[int], rate: float, seed: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return zero with probability ``rate`` and 1/(1 − rate) otherwise, for every element.

    Four dimensions [B, C, H, W] are channels last, which is also the order in which they are counted.
    """
    kept = round((1 - rate) * 2**BITS)
    factor, halves = 2**BITS / max(1, kept), (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
    last = shape if len(shape) != 4 else (shape[0], *shape[2:], shape[1])
    found: Tensor | None = None
    compiled = device.type == "cpu" and dtype in _FILL
    if compiled and (library := kernels.load("dropout", *_FILL.values())) is not None:
        found = torch.empty(last, dtype=dtype)
        function: Any = getattr(library, _FILL[dtype])
        function.argtypes = _ARGUMENTS
        function(*halves, kept, factor, found.numel(), found.data_ptr())
    else:
        number = int(torch.Size(last).numel())
        hashed = _hashed(number, halves, device)
        found = (hashed < kept).to(dtype).mul_(factor).view(*last)
    return found if len(shape) != 4 else found.permute(0, 3, 1, 2)


def _hashed(number: int, halves: tuple[int, int], device: torch.device) -> Tensor:
    """Return the upper bits of the hashes of 0, 1, …; int32 wraps as C's unsigned numbers do."""
    one, two = (half - 2**32 if half >= 2**31 else half for half in halves)
    x = torch.arange(number, dtype=torch.int32, device=device).add_(one).bitwise_xor_(two)
    return _shifted(_mixed(x), 8)


def _mixed(x: Tensor) -> Tensor:
    """See ``mixed`` in bench/kernels/dropout.cpp."""
    x = x.bitwise_xor_(_shifted(x, 16)).mul_(0x7FEB352D)
    x = x.bitwise_xor_(_shifted(x, 15)).mul_(0x846CA68B - 2**32)
    return x.bitwise_xor_(_shifted(x, 16))


def _shifted(x: Tensor, by: int) -> Tensor:
    """Shift right, filling with zeros."""
    return (x >> by).bitwise_and_((1 << (32 - by)) - 1)
