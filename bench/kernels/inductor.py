"""The network's passes of a search step as one graph each: ``torch.compile``'s, with CUDA graphs.

On a large GPU a step waits for thousands of launches, not for arithmetic. Inductor merges
kernels, and a CUDA graph launches those that are left at once. Opt-in (``kernel: inductor``) and
**unmeasured on a GPU**; on the CPU it runs too, without CUDA graphs, which is how it is tested.

Which passes run so is decided by what they are, never by what ran before: those of the loop's two
updates, at the batch and the operations that a search has without variants that act inside cells
or choose operations. So there are at most three graphs (which of weights and mixture are learned),
shapes never change, and a search that is resumed has the arithmetic that it began with. All else,
a backward pass that builds or keeps a graph included, is PyTorch's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bench.contracts.hooks import CellHooks
from bench.contracts.space import Active, Supernet
from bench.kernels.reverse import batched, keeps_graph, transformed

OPTIONS: dict[str, Any] = {"triton.cudagraphs": True, "deterministic": True}
"""``mode="reduce-overhead"``, and no choice between kernels by a stopwatch: that would change sums."""


def prepare(
    supernet: Supernet, shape: Sequence[int], active: Active | None = None
) -> Inductor | None:
    """Return what runs a supernet's steps; None where it keeps running statistics.

    A graph would have to change those, and PyTorch's path to leave them alone when it runs again.
    """
    buffers = next(iter(supernet.buffers()), None)
    return None if buffers is not None else Inductor(supernet, shape, active)


class Inductor:
    """A supernet's plain forward and backward passes, compiled at their first use.

    Parameters
    ----------
    supernet
        The network; weights are arguments of the graph, so that copies of it and stand-ins do.
    shape
        Of the images of a step [B, C, H, W].
    active
        The operations that the space has on every edge; None: all.
    backend
        ``torch.compile``'s; tests take ones that compile faster.
    """

    def __init__(
        self,
        supernet: Supernet,
        shape: Sequence[int],
        active: Active | None = None,
        backend: str = "inductor",
    ) -> None:
        self.shape, self.active = torch.Size(shape), active
        self.names = [name for name, _ in supernet.named_parameters()]
        self.supernet: nn.Module = supernet
        self.stepping = False
        torch.compiler.reset()  # graphs of earlier searches count towards limits, and hold memory
        options = OPTIONS if backend == "inductor" else None
        self.compiled = torch.compile(
            self.plain, fullgraph=True, dynamic=False, backend=backend, options=options
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Inductor:
        """Return itself: it holds no weights."""
        return self

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Surround an update: within it graphs are used, and may overwrite what earlier ones left."""
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        self.stepping = True
        try:
            yield
        finally:
            self.stepping = False

    def applies(
        self, images: Tensor, mixture: Tensor, active: Active | None, hooks: CellHooks | None
    ) -> bool:
        """Say whether a forward pass is one that the graph was made for."""
        return (
            self.stepping
            and hooks is None
            and images.shape == self.shape
            and _plain(active) == _plain(self.active)
            and torch.is_grad_enabled()
            and not transformed()
        )

    def __call__(self, images: Tensor, mixture: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, classes] with the named weights; see `Supernet`."""
        logits: Tensor = _Passes.apply(self, images, mixture, *(weights[n] for n in self.names))
        return logits

    def plain(self, images: Tensor, mixture: Tensor, *weights: Tensor) -> Tensor:
        """Return logits by PyTorch's path: what is compiled."""
        named = dict(zip(self.names, weights, strict=True))
        logits: Tensor = functional_call(self.supernet, named, (images, mixture, self.active, None))
        return logits


class _Passes(torch.autograd.Function):
    """``(inductor, images, mixture, *weights) → logits``, with PyTorch's derivatives of derivatives.

    What leaves a graph lies in memory that its next run overwrites, so logits and gradients are
    copied, the gradients all at once.
    """

    @staticmethod
    def forward(ctx: Any, inductor: Inductor, *inputs: Tensor) -> Tensor:
        leaves = [
            tensor.detach().requires_grad_(needed)
            for tensor, needed in zip(inputs, ctx.needs_input_grad[1:], strict=True)
        ]
        with torch.enable_grad():
            output = inductor.compiled(*leaves)
        ctx.inductor, ctx.passed = inductor, (leaves, output)
        ctx.cast = _cast(inputs[0].device.type)
        ctx.save_for_backward(*inputs)
        logits: Tensor = output.detach().clone()
        return logits

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or keeps_graph() or batched(gradient):
            return (None, *_again(ctx, inputs, needed, gradient))
        (leaves, output), ctx.passed = ctx.passed, None
        wanted = [leaf for leaf, yes in zip(leaves, needed, strict=True) if yes]
        found = torch.autograd.grad(output, wanted, gradient, allow_unused=True)
        own = [None if part is None else torch.empty_like(part) for part in found]
        torch._foreach_copy_(
            [new for new in own if new is not None], [old for old in found if old is not None]
        )
        gradients = iter(own)
        return (None, *(next(gradients) if yes else None for yes in needed))


def _again(
    ctx: Any, inputs: Sequence[Tensor], needed: Sequence[bool], gradient: Tensor
) -> list[Tensor | None]:
    """Return the gradients by PyTorch's path, with a graph of their own if one is being made."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(inputs[0].device.type, **ctx.cast):
        # Views: weights may depend on the mixture, which is not this function's to count.
        fresh = [
            t.view_as(t) if differentiable else t.detach().requires_grad_(yes)
            for t, yes in zip(inputs, needed, strict=True)
        ]
        output = ctx.inductor.plain(*fresh)
    wanted = [t for t, yes in zip(fresh, needed, strict=True) if yes]
    with torch.enable_grad():
        found = iter(
            torch.autograd.grad(
                output, wanted, gradient, create_graph=differentiable, allow_unused=True
            )
        )
    return [next(found) if yes else None for yes in needed]


def _cast(device: str) -> dict[str, Any]:
    """Return the autocast of this moment, which a backward pass does not see."""
    low = torch.is_autocast_enabled(device)
    return {"dtype": torch.get_autocast_dtype(device), "enabled": low}


def _plain(active: Active | None) -> list[list[int]] | None:
    return None if active is None else [list(operations) for operations in active]
