"""A mixed cell as one operation, by a compiled kernel where it can do the same as PyTorch's path.

Batch norm, mixture, skip, pooling and the sum over edges are one pass forward and two backward;
what is kept for the backward pass is the nodes and the convolutions' outputs, a third of what
autograd keeps. What variants do inside cells reaches the kernel as tensors (`bench.kernels.recorded`).
Derivatives of derivatives are PyTorch's own: asked for them, the backward pass runs the cell again on
PyTorch's path, so that the Hessian and every hypergradient stay exact.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active
from bench.kernels.recorded import NOTHING, Record
from bench.kernels.reverse import batched, transformed
from bench.spaces.nb201 import native
from bench.spaces.nb201.mixed_cell import Body, MixedCell
from bench.spaces.nb201.planned import NAMES, STACKED, Plan, plan

available = native.available
MOMENTUM = 0.1
"""What running statistics move by, as in PyTorch."""


def fits(supernet: Body) -> bool:
    """Say whether there is a kernel for a supernet as it was built: in float32 or 64 on the CPU."""
    blocks: Any = supernet.blocks
    weights = [block.conv3[0].weight for block in blocks if hasattr(block, "conv3")]
    return all(
        weight.device.type == "cpu"
        and weight.dtype in native.WIDTHS
        and available(weight.dtype, weight.shape[1])
        for weight in weights
    )


def applies(
    supernet: Body, images: Tensor, mixture: Tensor, hooks: CellHooks | None = None
) -> bool:
    """Say whether the kernel computes what the supernet would, on these tensors and now.

    Derivatives, if any, must be in reverse mode, and of statistics that are the whole batch's.
    """
    first: Any = supernet.blocks[0]
    weight = first.conv3[0].weight
    partly = first.conv3[0].rows is not None and first.conv3[0].rows < len(images)
    return (
        fits(supernet)
        and (hooks is None or hooks.recordable)
        and not (partly and torch.is_grad_enabled())
        and images.dtype == mixture.dtype == weight.dtype
        and images.device == mixture.device == weight.device
        and images.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not transformed()
    )


def mixed(
    cell: MixedCell,
    x: Tensor,
    mixture: Tensor,
    active: Active | None,
    hooks: CellHooks | None = None,
    position: int = 0,
) -> Tensor:
    """Run a cell on x [B, C, H, W]; equal to ``cell(x, mixture, active, …)`` to rounding."""
    todo: Plan | None = None
    # `UnrecordedError`, or what Python says of an operator that stand-ins lack.
    with contextlib.suppress(TypeError):
        todo, done = plan(cell, x, active, hooks, position)
    if todo is None or not available(x.dtype, todo.width):
        return cell(x, mixture, active, hooks, position)  # type: ignore[no-any-return]
    if 3 not in todo.wanted or (done.ends is None and _empty(todo)):
        return torch.zeros_like(x)  # nothing enters the last node
    learned: list[Tensor | None] = []
    for merged, rows in zip(_merged(cell), todo.rows, strict=True):
        for part in (merged.weight, merged.scale, merged.shift):
            # A view, because autograd says only of tensors with a history whether they are asked for.
            learned.append(part.view_as(part) if rows and part is not None else None)
    x = x.contiguous(memory_format=torch.channels_last)
    output: Tensor = _Cell.apply(cell, todo, done, x, mixture, done.ends, *learned)
    return output


def _empty(todo: Plan) -> bool:
    return todo.partial == 1 and not any(todo.runs[edge] for edge in (3, 4, 5))


def _merged(cell: MixedCell) -> tuple[Any, ...]:
    """Return the merged convolutions in the order of `STACKED`."""
    return cell.merged_convolutions


class _Cell(torch.autograd.Function):
    """``(cell, plan, record, x, mixture, ends, *learned) → output``.

    ``learned``: weight, scale and shift of every merged convolution, None where there is none or it
    is not used.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cell: MixedCell,
        todo: Plan,
        done: Record,
        x: Tensor,
        mixture: Tensor,
        ends: Tensor | None,
        *learned: Tensor | None,
    ) -> Tensor:
        narrow, C = todo.partial > 1, todo.width
        used = [_taken(cell, todo, i, part) for i, part in enumerate(learned)]
        outputs = [_like(x, len(rows) * C) if rows else None for rows in todo.rows]
        nodes = [x, *(_like(x) if node in todo.wanted else None for node in (1, 2, 3))]
        parts = [_like(x, C) if narrow and nodes[node] is not None else None for node in range(3)]
        statistics = torch.zeros(3 * 16 * C, dtype=torch.float64)
        given = _given(cell)
        if given:
            _read_running(cell, todo, statistics.view(3, 2, 8 * C))
        rows = _merged(cell)[0].rows
        counted = len(x) if rows is None else min(len(x), rows)
        size, threads = tuple(x.shape), torch.get_num_threads()
        shape = native.shape(todo, size, threads, given, counted, cell.shuffled)
        tensors = {
            "nodes": nodes,
            "parts": parts,
            "mixture": mixture.contiguous(),
            "edges": None if ends is None else ends.contiguous(),
            "weights": used[::3],
            "scale": used[1::3],
            "shift": used[2::3],
            "outputs": outputs,
            "statistics": statistics,
            **native.touches(todo, done),
        }
        native.call("forward", x.dtype, C, shape, tensors)
        if _moves(cell):
            _move_running(cell, todo, statistics.view(3, 2, 8 * C), len(x) * x[0, 0].numel())
        ctx.cell, ctx.plan, ctx.record, ctx.shape = cell, todo, done, shape
        ctx.save_for_backward(x, mixture, ends, *learned, *nodes[1:3], *parts, *outputs, statistics)
        assert nodes[3] is not None
        return nodes[3]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mixture, ends, *rest = ctx.saved_tensors
        learned, (*inner, p0, p1, p2), outputs = rest[:18], rest[18:23], rest[23:29]
        inputs = [x, mixture, ends, *learned]
        asked = _asked(ctx, inputs)
        if torch.is_grad_enabled() or batched(gradient):
            return (None, None, None, *_again(ctx, inputs, asked, gradient))
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        todo: Plan = ctx.plan
        used = [_taken(ctx.cell, todo, i, part) for i, part in enumerate(learned)]
        found = [
            torch.empty_like(part) if wanted and part is not None else None
            for part, wanted in zip(used, asked[3:], strict=True)
        ]
        dx = _like(x) if asked[0] else None
        dmixture = torch.zeros_like(mixture)
        dends = torch.zeros_like(ends, memory_format=torch.contiguous_format) if asked[2] else None
        # The kernel asks of the last node only whether there is one.
        tensors = {
            "nodes": [x, *inner, gradient],
            "parts": [p0, p1, p2],
            "mixture": mixture.contiguous(),
            "edges": None if ends is None else ends.contiguous(),
            "weights": used[::3],
            "scale": used[1::3],
            "shift": used[2::3],
            "outputs": outputs,
            "statistics": rest[29],
            **native.touches(todo, ctx.record),
            "dmixture": dmixture,
            "dedges": dends,
            "gradients": [dx, *(None if n is None else _like(x) for n in inner), gradient],
            "dweights": found[::3],
            "dscale": found[1::3],
            "dshift": found[2::3],
        }
        native.call("backward", x.dtype, todo.width, ctx.shape, tensors)
        whole = [_put(ctx.cell, todo, i, d, learned[i]) for i, d in enumerate(found)]
        return (None, None, None, dx, dmixture, dends, *whole)


def _like(x: Tensor, channels: int | None = None) -> Tensor:
    """Return an empty channels-last tensor of the size of ``x``, or with other channels."""
    shape = (len(x), channels or x.shape[1], *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)


def _taken(cell: MixedCell, todo: Plan, i: int, part: Tensor | None) -> Tensor | None:
    """Return the rows of what is learned, number ``i`` of three per convolution, that are run."""
    if part is None:
        return None
    merged = _merged(cell)[i // 3]
    rows: Tensor = merged._rows(part, todo.rows[i // 3], todo.width)
    if rows is part:
        return part
    return (rows[:, : todo.width] if part.dim() > 1 else rows).contiguous()


def _put(
    cell: MixedCell, todo: Plan, i: int, rows: Tensor | None, part: Tensor | None
) -> Tensor | None:
    """Put the gradients of the rows that were run in their place, zeros elsewhere."""
    if rows is None or part is None or rows.shape == part.shape:
        return rows
    merged = _merged(cell)[i // 3]
    whole, C = torch.zeros_like(part), todo.width
    for n, position in enumerate(todo.rows[i // 3]):
        own = whole[merged._block(position, C)]
        (own[:, :C] if own.dim() > 1 else own).copy_(rows[n * C : (n + 1) * C])
    return whole


def _given(cell: MixedCell) -> bool:
    """Say whether running statistics normalise."""
    merged: Any = cell.conv3[0]
    return merged.rows is None and merged.running_mean is not None and not merged.training


def _moves(cell: MixedCell) -> bool:
    """Say whether running statistics are to follow the batch's."""
    merged: Any = cell.conv3[0]
    return merged.rows is None and merged.running_mean is not None and bool(merged.training)


def _columns(cell: MixedCell, todo: Plan) -> list[tuple[Any, slice, int, slice]]:
    """Return (convolution, its channels, source, their columns among the kernel's statistics)."""
    found, C = [], todo.width
    for i, (merged, (source, _)) in enumerate(zip(_merged(cell), STACKED, strict=True)):
        before = len(todo.rows[i - 1]) if i % 2 else 0
        for n, position in enumerate(todo.rows[i], start=before):
            found.append((merged, merged._block(position, C), source, slice(n * C, (n + 1) * C)))
    return found


def _read_running(cell: MixedCell, todo: Plan, statistics: Tensor) -> None:
    for merged, own, source, columns in _columns(cell, todo):
        statistics[source, 0, columns] = merged.running_mean[own].double()
        statistics[source, 1, columns] = merged.running_var[own].double()


def _move_running(cell: MixedCell, todo: Plan, statistics: Tensor, number: int) -> None:
    for merged, own, source, columns in _columns(cell, todo):
        mean, variance = statistics[source, :, columns]
        unbiased = variance * (number / max(1, number - 1))
        for running, now in ((merged.running_mean, mean), (merged.running_var, unbiased)):
            running[own] += MOMENTUM * (now - running[own])


def _asked(ctx: Any, inputs: Sequence[Tensor | None]) -> list[bool]:
    """Say of every input whether this backward pass wants its gradient.

    ``ctx.needs_input_grad`` says whether it could be wanted; the engine knows what is.
    """
    needed = ctx.needs_input_grad[3:]
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
    cell, todo = ctx.cell, ctx.plan
    with torch.enable_grad():
        # Views: x depends on the mixture by way of earlier cells, which is not this cell's to count.
        anew = [
            None if t is None else t.view_as(t) if differentiable else t.detach().requires_grad_()
            for t in inputs
        ]
        x, mixture, ends, *learned = anew
        names = [f"{name}.{part}" for name in NAMES for part in ("weight", "scale", "shift")]
        stand_in = {n: w for n, w in zip(names, learned, strict=True) if w is not None}
        buffers = {name: buffer.clone() for name, buffer in cell.named_buffers()}
        hooks = None if ctx.record is NOTHING else replace(ctx.record, ends=ends)
        output = functional_call(cell, {**stand_in, **buffers}, (x, mixture, todo.runs, hooks, 0))
        wanted = [t for t, yes in zip(anew, asked, strict=True) if yes and t is not None]
        found = torch.autograd.grad(
            output, wanted, gradient, create_graph=differentiable, allow_unused=True
        )
    gradients = iter(found)
    return [next(gradients) if yes else None for yes in asked]
