"""The DARTS supernet's search step against the textbook oracle, in one run: time and memory.

As `benchmarks/test_search_step.py`: both forms run in turn, the ratio of medians counts. Memory is
what a forward pass keeps for the backward one, counted by torch's own hooks.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from bench.contracts import registry
from benchmarks.test_search_step import fast_pair, textbook_pair
from tests.spaces.darts_textbook import TextbookSupernet

SIZES = [("full", 4, 5, 16, 32), ("s2", 4, 5, 16, 32), ("full", 16, 8, 32, 16)]
"""Operations, C, layers, resolution, batch."""


def kept(net, images, mixture):
    """Return the bytes that a forward pass keeps, each storage once."""
    seen = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = net(images, mixture)  # held, so that no storage's place is used again
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    assert logits.shape[1] == 10
    return sum(size for place, size in seen.items() if place not in own)


@pytest.mark.parametrize(("operations", "channels", "layers", "resolution", "size"), SIZES)
def test_search_step(benchmark, operations, channels, layers, resolution, size):
    torch.set_num_threads(1)
    preset = {} if operations == "full" else {"preset": operations}
    space = registry.parse(
        "spaces", {"name": "darts", "channels": channels, "layers": layers, **preset}
    )
    names = [[space.operations[o] for o in own] for own in space.present]
    fast = space.supernet(3, 10, seed=0)
    slow = TextbookSupernet(3, 10, channels, layers, 4, space.operations, names)
    draws = torch.Generator().manual_seed(0)
    shape = (size, 3, resolution, resolution)
    batch = [
        (torch.randn(shape, generator=draws), torch.randint(10, (size,), generator=draws))
        for _ in range(2)
    ]
    alpha = torch.zeros(28, len(space.operations), requires_grad=True)
    memory = [kept(net, batch[0][0], alpha.softmax(-1)) for net in (slow, fast)]
    times: dict[str, list[float]] = {"fast": [], "textbook": []}

    def timed(name, pair, net):
        start = time.process_time()
        pair(net, alpha, batch)
        times[name].append(time.process_time() - start)

    timed("textbook", textbook_pair, slow)
    timed("fast", fast_pair, fast)
    times = {"fast": [], "textbook": []}
    benchmark.pedantic(
        lambda: timed("fast", fast_pair, fast),
        setup=lambda: timed("textbook", textbook_pair, slow),
        rounds=3,
    )
    ratio = statistics.median(times["textbook"]) / statistics.median(times["fast"])
    benchmark.extra_info["times the textbook supernet's speed"] = round(ratio, 2)
    print(
        f"\n{operations} C={channels} L={layers} {resolution}x{resolution} batch {size}: "
        f"{ratio:.2f} times the textbook's speed; kept {memory[1] / 1e6:.0f} MB, textbook "
        f"{memory[0] / 1e6:.0f} MB"
    )
    assert ratio >= 1.0 and memory[1] < memory[0]
