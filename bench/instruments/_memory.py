"""Peak memory of a call: the most bytes of tensors that it made and that were alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that operations return, from their making to their end.

    Tensors that autograd saves are alive as long as it holds them, and are counted. Not seen are
    the scratch space inside one operation and the allocator's own slack, so the number is a
    property of the algorithm and the same on every machine; what was there before is not counted.

    Attributes
    ----------
    now, peak
        Bytes alive, and the most of them so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count what it returns, unless that is a view of an argument."""
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if id(storage) in self._alive:
                continue
            # What an argument holds already was made before this mode was on.
            old = any(a.untyped_storage() is storage for a in _tensors((args, kwargs)))
            self._watch(storage, 0 if old else storage.nbytes())
        return result

    def _watch(self, storage: Any, size: int) -> None:
        key = id(storage)

        def gone(_: Any) -> None:
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in what an operation takes or returns."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def peak_bytes(call: Callable[[], Any], device: torch.device) -> int:
    """Run a call and return its peak: the allocator's on CUDA, that of `LiveBytes` elsewhere."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    with LiveBytes() as live:
        call()
    peak: int = live.peak
    return peak
