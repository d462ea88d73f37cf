"""What variants do inside cells, found out without doing it: hooks run on stand-ins.

A hook is a function of tensors. Shown a stand-in that writes down what is done to it, most turn out to
be y → factor·y + straight·x + constant, which a compiled kernel takes as tensors; whatever else a hook
does ends in `UnrecordedError`, and the supernet runs in PyTorch. So a hook is written once, and both ways
see the same random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.contracts.hooks import CellHooks

Number = float | Tensor


class UnrecordedError(TypeError):
    """A hook does something that a stand-in cannot write down."""


def _refuse(what: object) -> UnrecordedError:
    return UnrecordedError(f"{what} of a stand-in")


@dataclass(frozen=True, eq=False)
class Like:
    """Something of which only size, type and device are known: a part of a stand-in."""

    like: Tensor
    """A tensor of the right size, of whose numbers nothing is used."""

    @property
    def shape(self) -> torch.Size:
        """The size."""
        return self.like.shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of the numbers."""
        return self.like.dtype

    @property
    def device(self) -> torch.device:
        """Where it would lie."""
        return self.like.device

    def size(self, dimension: int | None = None) -> Any:
        """Return the size, or one of it."""
        return self.shape if dimension is None else self.shape[dimension]

    def __len__(self) -> int:
        return len(self.like)

    def __getitem__(self, index: Any) -> Like:
        return Like(self.like[index])

    def __getattr__(self, name: str) -> Any:
        raise _refuse(name)

    def __bool__(self) -> bool:
        raise _refuse("the truth")

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Make new tensors of the same size; see `Recorded` for what else is known."""
        own = next((argument for argument in args if isinstance(argument, Like)), None)
        if own is None:
            raise _refuse(function)
        if function in (torch.empty_like, torch.zeros_like, torch.ones_like) and not kwargs:
            # Laid out as a tensor of PyTorch's path is, so that a hook draws the same numbers.
            return function(torch.empty(own.shape, dtype=own.dtype, device=own.device))
        return own._called(function, args, kwargs or {})

    def _called(self, function: Any, args: Any, kwargs: Any) -> Any:
        raise _refuse(getattr(function, "__name__", function))


@dataclass(frozen=True, eq=False)
class Recorded(Like):
    """factor·y + straight·x + constant, y normalised first if ``normal``; x is an edge's input."""

    factor: Number = 1.0
    straight: Number = 0.0
    constant: Number = 0.0
    normal: bool = False

    def __mul__(self, other: Any) -> Recorded:
        if isinstance(other, Like):
            raise _refuse("a product")
        return Recorded(  # called for every edge of every cell: `replace` takes three times as long
            self.like,
            _times(self.factor, other),
            _times(self.straight, other),
            _times(self.constant, other),
            self.normal,
        )

    def __add__(self, other: Any) -> Recorded:
        if not isinstance(other, Like):
            constant = _plus(self.constant, other)
            return Recorded(self.like, self.factor, self.straight, constant, self.normal)
        if not isinstance(other, Recorded) or self.normal or other.normal:
            raise _refuse("a sum")
        return replace(
            self,
            factor=_plus(self.factor, other.factor),
            straight=_plus(self.straight, other.straight),
            constant=_plus(self.constant, other.constant),
        )

    def __neg__(self) -> Recorded:
        return self.__mul__(-1.0)

    def __sub__(self, other: Any) -> Recorded:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Recorded:
        return self.__neg__().__add__(other)

    def __truediv__(self, other: Any) -> Recorded:
        return self.__mul__(1.0 / other)

    __rmul__, __radd__ = __mul__, __add__

    def _called(self, function: Any, args: Any, kwargs: Any) -> Any:
        if function in _PRODUCTS and len(args) == 2 and not kwargs:
            return self * (args[0] if args[1] is self else args[1])
        if function in _SUMS and len(args) == 2 and not kwargs:
            return self + (args[0] if args[1] is self else args[1])
        if function is F.batch_norm and args[0] is self:
            return self._normalised(*args[1:], **kwargs)
        return super()._called(function, args, kwargs)

    def _normalised(
        self,
        mean: Any,
        variance: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Recorded:
        untouched = _is(self.factor, 1) and _is(self.straight, 0) and _is(self.constant, 0)
        learned = any(x is not None for x in (mean, variance, weight, bias))
        if learned or not training or eps != 1e-5 or self.normal or not untouched:
            raise _refuse("such a batch norm")
        return replace(self, normal=True)


_PRODUCTS = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__}
_SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__}


def _is(value: Number, number: float) -> bool:
    return not isinstance(value, Tensor) and value == number


def _times(a: Number, b: Number) -> Number:
    return 0.0 if _is(a, 0) else b if _is(a, 1) else a * b


def _plus(a: Number, b: Number) -> Number:
    return b if _is(a, 0) else a if _is(b, 0) else a + b


@dataclass(frozen=True)
class Touch:
    """What becomes of one operation's output y [B, C, H, W]: factor·y + addend.

    ``normal``: y is normalised by batch statistics first. ``replaced``: the addend alone.
    """

    factor: Tensor | None = None
    addend: Tensor | None = None
    normal: bool = False
    replaced: bool = False

    @property
    def kind(self) -> int:
        """2 where the output is replaced, 1 where it gets a factor or an addend, else 0."""
        return 2 if self.replaced else int(self.factor is not None or self.addend is not None)

    def __call__(self, y: Tensor) -> Tensor:
        """Do it."""
        if self.replaced:
            return torch.zeros_like(y) if self.addend is None else self.addend
        y = F.batch_norm(y, None, None, training=True) if self.normal else y
        y = y if self.factor is None else y * self.factor
        return y if self.addend is None else y + self.addend


@dataclass(frozen=True, eq=False)
class Record:
    """What hooks do in one cell; as `CellHooks` it does the same again.

    Attributes
    ----------
    operations
        (edge, operation) → what becomes of the output; others are left alone.
    ends
        Factor, straight and constant of every edge's mixture in every image [3, E, B], or None.
    straight
        The edges to which something of their input is added.
    """

    operations: dict[tuple[int, int], Touch]
    ends: Tensor | None
    straight: frozenset[int]
    partial: int | None

    @property
    def recordable(self) -> bool:
        """See `CellHooks`."""
        return True

    @property
    def touched(self) -> frozenset[int]:
        """See `CellHooks`."""
        return frozenset(operation for _, operation in self.operations)

    @property
    def edges(self) -> bool:
        """See `CellHooks`."""
        return self.ends is not None

    def operation(self, y: Tensor, *, cell: int, edge: int, operation: int) -> Tensor:
        """See `CellHooks`."""
        touch = self.operations.get((edge, operation))
        return y if touch is None else touch(y)

    def edge(self, y: Tensor, x: Tensor, *, cell: int, edge: int) -> Tensor:
        """See `CellHooks`."""
        assert self.ends is not None
        factor, straight, constant = self.ends[:, edge, :, None, None, None].unbind()
        total: Tensor = factor * y + straight * x + constant
        return total


NOTHING = Record({}, None, frozenset(), None)


def record(
    hooks: CellHooks, cell: int, x: Tensor, width: int, runs: Sequence[Sequence[int]]
) -> Record:
    """Find out what hooks do in a cell whose input is ``x``, with ``width`` channels mixed.

    Raises
    ------
    UnrecordedError
        Where it is not of the form that a `Record` has.
    """
    operations: dict[tuple[int, int], Touch] = {}
    if hooks.touched:
        y: Any = Recorded(x[:, :width])
        for edge, row in enumerate(runs):
            for o in row:
                if o in hooks.touched:
                    after = hooks.operation(y, cell=cell, edge=edge, operation=o)
                    if after is not y:
                        operations[edge, o] = _touch(after, y.shape)
    if not hooks.edges:
        return Record(operations, None, frozenset(), hooks.partial)
    whole: Any = Recorded(x)
    source: Any = Recorded(x, factor=0.0, straight=1.0)
    afters = [hooks.edge(whole, source, cell=cell, edge=edge) for edge in range(len(runs))]
    if all(after is whole for after in afters):
        return Record(operations, None, frozenset(), hooks.partial)
    if not all(isinstance(after, Recorded) and not after.normal for after in afters):
        raise _refuse("another edge")
    found: list[Any] = afters
    ends = torch.stack(
        [
            _per_edge([getattr(after, kind) for after in found], x)
            for kind in ("factor", "straight", "constant")
        ]
    )
    straight = frozenset(e for e, after in enumerate(found) if not _is(after.straight, 0))
    return Record(operations, ends, straight, hooks.partial)


def _touch(after: Any, shape: torch.Size) -> Touch:
    if isinstance(after, Tensor):
        return Touch(addend=_whole(after, shape), replaced=True)
    if not isinstance(after, Recorded) or not _is(after.straight, 0):
        raise _refuse("another operation")
    replaced = _is(after.factor, 0)
    return Touch(
        None if replaced or _is(after.factor, 1) else _whole(after.factor, shape, after.like),
        None if _is(after.constant, 0) else _whole(after.constant, shape, after.like),
        after.normal and not replaced,
        replaced,
    )


def _whole(value: Number, shape: torch.Size, like: Tensor | None = None) -> Tensor:
    """Return a number for every element, channels last."""
    if not isinstance(value, Tensor):
        assert like is not None
        value = torch.tensor(value, dtype=like.dtype)
    if value.requires_grad or value.dim() not in (0, 4):
        raise _refuse("a learned factor")
    return value.expand(shape).contiguous(memory_format=torch.channels_last)


def _per_edge(values: Sequence[Number], x: Tensor) -> Tensor:
    """Return a number for every edge and image [E, B]."""
    if not any(isinstance(value, Tensor) for value in values):
        return torch.tensor(values, dtype=x.dtype)[:, None].expand(len(values), len(x))
    return torch.stack([_per_image(value, x) for value in values])


def _per_image(value: Number, x: Tensor) -> Tensor:
    """Return a number for every image [B]."""
    if not isinstance(value, Tensor):
        return x.new_full((len(x),), value)
    if value.numel() == 1:
        return value.to(x.dtype).reshape(1).expand(len(x))
    if value.shape != (len(x), 1, 1, 1):
        raise _refuse("part of an edge")
    return value.to(x.dtype).reshape(len(x))
