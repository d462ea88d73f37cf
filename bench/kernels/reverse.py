"""When a backward pass of our own may stand in for PyTorch's: plain reverse mode, once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def transformed() -> bool:
    """Say whether tensors stand for more than numbers: functorch, forward mode, tracing."""
    return (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
    )


def batched(gradient: Tensor) -> bool:
    """Say whether a gradient stands for many (``is_grads_batched``, ``vmap``)."""
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(gradient) or functorch.is_legacy_batchedtensor(gradient)


def keeps_graph() -> bool:
    """Say, within a backward pass, whether it keeps the graph to be walked again."""
    return torch._C._autograd._get_current_graph_task_keep_graph()
