"""A mixed cell as one operation, by a compiled kernel where it can do the same as PyTorch's path.

Batch norm, mixture, skip, pooling and the sum over edges are one pass forward and two backward;
what is kept for the backward pass is the nodes and the convolutions' outputs, a third of what
autograd keeps. Derivatives of derivatives are PyTorch's own: asked for them, the backward pass runs
the cell again on PyTorch's path, so that the Hessian and every hypergradient stay exact.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call

from bench import kernels
from bench.contracts.space import Active
from bench.kernels.reverse import batched, transformed
from bench.spaces.nb201.cells import CONV1, CONV3, EDGES

if TYPE_CHECKING:
    from bench.spaces.nb201.supernet import MixedCell, NB201Supernet

LANES = {torch.float32: 8, torch.float64: 4}
"""Channels that fill one of the kernel's vectors."""
_SUFFIX = {torch.float32: "float", torch.float64: "double"}
_Pointers = ctypes.c_void_p * 4


class Shape(ctypes.Structure):
    """The kernel's ``Shape``: sizes, threads and which operations run."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels", "threads")),
        ("active", ctypes.c_int64 * 30),
    )


def available() -> bool:
    """Say whether there is a kernel; compiles it at the first call of a process."""
    return kernels.load("nb201_cell") is not None


def fits(supernet: NB201Supernet) -> bool:
    """Say whether there is a kernel for a supernet as it was built.

    It knows batch statistics without learned scale and shift, all channels mixed, float32 and
    float64 on the CPU, and channels that fill its vectors.
    """
    first: Any = supernet.blocks[0]
    weight: Tensor = first.conv3[0].weight
    return (
        bool(first.exact_zeros and first.partial == 1)
        and weight.device.type == "cpu"
        and weight.dtype in LANES
        and weight.shape[1] % LANES[weight.dtype] == 0
    )


def applies(supernet: NB201Supernet, images: Tensor, mixture: Tensor) -> bool:
    """Say whether the kernel computes what the supernet would, on these tensors and now.

    Statistics must be those of the whole batch, and derivatives, if any, in reverse mode.
    """
    first: Any = supernet.blocks[0]
    return (
        fits(supernet)
        and (first.conv3[0].rows is None or first.conv3[0].rows >= len(images))
        and images.dtype == mixture.dtype == first.conv3[0].weight.dtype
        and images.device == mixture.device == first.conv3[0].weight.device
        and images.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not transformed()
        and available()
    )


def live(active: Active | None) -> list[list[int]]:
    """Return the operations to run on every edge: those on a way from the input to the output."""
    runs = [
        [o for o in range(1, 5) if active is None or o in active[edge]]
        for edge in range(len(EDGES))
    ]
    reached, wanted = {0}, {3}
    for edge, (source, target) in enumerate(EDGES):
        if runs[edge] and source in reached:
            reached.add(target)
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        if runs[edge] and target in wanted:
            wanted.add(source)
    return [
        operations if source in reached and target in wanted else []
        for operations, (source, target) in zip(runs, EDGES, strict=True)
    ]


def mixed(cell: MixedCell, x: Tensor, mixture: Tensor, active: Active | None) -> Tensor:
    """Run a cell on x [B, C, H, W]; equal to ``cell(x, mixture, active, None, …)`` to rounding."""
    runs = live(active)
    if not any(runs[edge] for edge in (3, 4, 5)):  # nothing enters the last node
        return torch.zeros_like(x)
    weights = []
    for merged, operation in _stacked(cell):
        used = any(operation in runs[edge] for edge in merged.edges)
        # A view, because autograd says only of tensors with a history whether they are asked for.
        weights.append(merged.weight.view_as(merged.weight) if used else None)
    x = x.contiguous(memory_format=torch.channels_last)
    output: Tensor = _Cell.apply(cell, runs, x, mixture, *weights)
    return output


def _stacked(cell: MixedCell) -> list[tuple[Any, int]]:
    """Return the merged convolutions by source node, 3x3 before 1x1, with their operation."""
    return [
        (merged, operation)
        for node in range(3)
        for merged, operation in ((cell.conv3[node], CONV3), (cell.conv1[node], CONV1))
    ]


class _Cell(torch.autograd.Function):
    """``(cell, runs, x, mixture, *weights) → output``; weights by `_stacked`, None where unused."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: MixedCell,
        runs: Sequence[Sequence[int]],
        x: Tensor,
        mixture: Tensor,
        *weights: Tensor | None,
    ) -> Tensor:
        shape = Shape(
            len(x), *x.shape[2:], x.shape[1], torch.get_num_threads(),
            (ctypes.c_int64 * 30)(*(int(o in runs[e]) for e in range(6) for o in range(5))),
        )  # fmt: skip
        rows = [
            [i for i, edge in enumerate(merged.edges) if operation in runs[edge]]
            for merged, operation in _stacked(cell)
        ]
        used = [
            None if w is None else merged._rows(w, own, x.shape[1]).contiguous()
            for (merged, _), own, w in zip(_stacked(cell), rows, weights, strict=True)
        ]
        outputs = [
            None if w is None else _like(x, len(own) * x.shape[1])
            for own, w in zip(rows, used, strict=True)
        ]
        entered = {EDGES[edge][1] for edge in range(6) if runs[edge]}
        nodes = [x, *(_like(x) if node in entered else None for node in (1, 2, 3))]
        statistics = torch.empty(3 * 12 * x.shape[1], dtype=torch.float64)
        mixture = mixture.contiguous()
        _call(
            "forward", x.dtype, shape, nodes, mixture,
            used[::2], used[1::2], outputs[::2], outputs[1::2], statistics,
        )  # fmt: skip
        ctx.cell, ctx.runs, ctx.shape, ctx.rows = cell, runs, shape, rows
        ctx.save_for_backward(x, mixture, *weights, *nodes[1:3], *outputs, statistics)
        assert nodes[3] is not None
        return nodes[3]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mixture, *rest = ctx.saved_tensors
        weights, nodes, outputs, statistics = rest[:6], rest[6:8], rest[8:14], rest[14]
        asked = _asked(ctx, [x, mixture, *weights])
        if torch.is_grad_enabled() or batched(gradient):
            return (None, None, *_again(ctx, [x, mixture, *weights], asked, gradient))
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        used: list[Tensor | None] = []
        found: list[Tensor | None] = []
        for (merged, _), own, w, wanted in zip(
            _stacked(ctx.cell), ctx.rows, weights, asked[2:], strict=True
        ):
            rows = None if w is None else merged._rows(w, own, x.shape[1]).contiguous()
            used.append(rows)
            found.append(torch.empty_like(rows) if wanted and rows is not None else None)
        inner = [None if node is None else _like(x) for node in nodes]
        dx = _like(x) if asked[0] else None
        dmixture = torch.zeros_like(mixture)
        _call(
            "backward", x.dtype, ctx.shape, [x, *nodes], mixture, used[::2], used[1::2],
            outputs[::2], outputs[1::2], statistics, [dx, *inner, gradient], dmixture,
            found[::2], found[1::2],
        )  # fmt: skip
        whole = [
            _scattered(d, w, own, x.shape[1])
            for d, w, own in zip(found, weights, ctx.rows, strict=True)
        ]
        return (None, None, dx, dmixture, *whole)


def _like(x: Tensor, channels: int | None = None) -> Tensor:
    """Return an empty channels-last tensor of the size of ``x``, or with other channels."""
    shape = (len(x), channels or x.shape[1], *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)


def _scattered(
    rows: Tensor | None, weight: Tensor | None, positions: Sequence[int], channels: int
) -> Tensor | None:
    """Put the gradients of the rows that were run in their place, zeros elsewhere."""
    if rows is None or weight is None or len(rows) == len(weight):
        return rows
    whole = torch.zeros_like(weight)
    for i, position in enumerate(positions):
        whole[position * channels : (position + 1) * channels] = rows[
            i * channels : (i + 1) * channels
        ]
    return whole


def _asked(ctx: Any, inputs: Sequence[Tensor | None]) -> list[bool]:
    """Say of every input whether this backward pass wants its gradient.

    ``ctx.needs_input_grad`` says whether it could be wanted; the engine knows what is.
    """
    needed = ctx.needs_input_grad[2:]
    functions = iter(ctx.next_functions)  # one per tensor
    asked = []
    for tensor, could in zip(inputs, needed, strict=True):
        if tensor is None:
            asked.append(False)
            continue
        function = next(functions)[0]
        asked.append(could and (function is None or _will_run(function)))
    return asked


def _will_run(function: Any) -> bool:
    try:
        return torch._C._will_engine_execute_node(function)
    except RuntimeError:  # a leaf of torch.autograd.grad: not told, so to be had
        return True


def _again(
    ctx: Any, inputs: Sequence[Tensor | None], asked: Sequence[bool], gradient: Tensor
) -> list[Tensor | None]:
    """Return the gradients by PyTorch's path, with a graph of their own if one is being made."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views: x depends on the mixture by way of earlier cells, which is not this cell's to count.
        x, mixture, *weights = (
            None if t is None else t.view_as(t) if differentiable else t.detach().requires_grad_()
            for t in inputs
        )
        names = [f"conv{kernel}.{node}.weight" for node in range(3) for kernel in (3, 1)]
        stand_in = {n: w for n, w in zip(names, weights, strict=True) if w is not None}
        output = functional_call(ctx.cell, stand_in, (x, mixture, ctx.runs, None, 0))
        wanted = [
            t for t, yes in zip([x, mixture, *weights], asked, strict=True) if yes and t is not None
        ]
        found = torch.autograd.grad(
            output, wanted, gradient, create_graph=differentiable, allow_unused=True
        )
    gradients = iter(found)
    return [next(gradients) if yes else None for yes in asked]


def _call(name: str, dtype: torch.dtype, shape: Shape, *arguments: Any) -> None:
    library = kernels.load("nb201_cell")
    assert library is not None
    function: Callable[..., None] = getattr(library, f"{name}_{_SUFFIX[dtype]}")
    function(ctypes.byref(shape), *(_address(argument) for argument in arguments))


def _address(argument: Tensor | Sequence[Tensor | None]) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return _Pointers(*(None if t is None else t.data_ptr() for t in argument))
